import Dropzone from 'dropzone'
import 'dropzone/dist/dropzone.css'
import { ATTEMPTS, isBusy, pause, remove, verdict } from './gate.js'

function fail(file, message) {
  file.status = Dropzone.ERROR
  file.previewElement.classList.add('dz-error')
  file.previewElement.querySelector('[data-dz-errormessage]').textContent = message
}

const dropzone = new Dropzone('#photos', {
  url: '/image-pipeline/upload',
  // A function: Dropzone merges an object into its own function, and sends nothing.
  params: () => ({ sourceType: 'avatar', sourceId: 'user-1' }),
  addRemoveLinks: true,
  // This and error replace Dropzone's own: the tick and the cross wait for the verdict.
  async success(file, { jobId, statusUrl }) {
    file.jobId = jobId
    try {
      const { media } = await verdict(statusUrl)
      file.previewElement.classList.add('dz-success')
      document.querySelector('#avatar').src = media.urls.sm
    } catch (error) {
      fail(file, error.message)
    }
  },
  async error(file, answer, xhr) {
    // No preview, such as of a HEIC photo, does not mean that the gate refuses it.
    if (answer === dropzone.options.dictThumbnailError) return
    file.attempts = (file.attempts ?? 0) + 1
    if (!xhr || !isBusy(xhr.status) || file.attempts === ATTEMPTS) return fail(file, answer.message ?? answer)
    await pause(xhr.getResponseHeader('Retry-After'))
    if (!dropzone.files.includes(file)) return
    file.status = Dropzone.QUEUED
    dropzone.processQueue()
  },
})

dropzone.on('removedfile', (file) => {
  if (file.jobId) remove(file.jobId)
})
