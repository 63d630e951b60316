import Uppy from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import XHRUpload from '@uppy/xhr-upload'
import '@uppy/core/css/style.min.css'
import '@uppy/dashboard/css/style.min.css'
import { isBusy, pause, remove, verdict } from './gate.js'

export const uppy = new Uppy({ autoProceed: true, meta: { sourceType: 'avatar', sourceId: 'user-1' } })

uppy.use(Dashboard, { target: '#uppy', inline: true, showRemoveButtonAfterComplete: true })

uppy.use(XHRUpload, {
  endpoint: '/image-pipeline/upload',
  allowedMetaFields: ['sourceType', 'sourceId'],
  // One key for an upload and its automatic retries: the gate takes the picture once.
  headers: () => ({ 'Idempotency-Key': crypto.randomUUID() }),
  shouldRetry: (xhr) => xhr.status === 0 || isBusy(xhr.status),
  async onAfterResponse(xhr, retryCount) {
    if (xhr.status < 400) return
    if (isBusy(xhr.status) && retryCount < 3) await pause(xhr.getResponseHeader('Retry-After'))
    throw new Error(JSON.parse(xhr.responseText).message)
  },
})

// The bytes came through, and the picture did not: for Uppy, this upload is not complete.
function refuse(id, error) {
  const file = uppy.getFile(id)
  if (!file) return
  uppy.setFileState(id, { progress: { ...file.progress, uploadComplete: false } })
  uppy.emit('upload-error', file, error)
}

uppy.on('upload-error', (file, error) => uppy.info(error.message, 'error', 10_000))

uppy.addPostProcessor(async (fileIDs) => {
  const files = fileIDs.map((id) => uppy.getFile(id)).filter((file) => file && !file.error)
  await Promise.all(files.map(async (file) => {
    uppy.emit('postprocess-progress', file, { mode: 'indeterminate', message: 'Checking the picture' })
    try {
      const { media } = await verdict(file.response.body.statusUrl)
      document.querySelector('#avatar').src = media.urls.sm
    } catch (error) {
      refuse(file.id, error)
    }
    uppy.emit('postprocess-complete', file)
  }))
})

uppy.on('file-removed', (file) => {
  if (file.response?.body?.jobId) remove(file.response.body.jobId)
})
