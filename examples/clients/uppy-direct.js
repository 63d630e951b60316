import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import '@uppy/core/css/style.min.css'
import '@uppy/dashboard/css/style.min.css'
import { ask, remove, verdict } from './gate.js'

export const uppy = new Uppy({ autoProceed: true })

uppy.use(Dashboard, { target: '#uppy', inline: true, showRemoveButtonAfterComplete: true })

uppy.use(AwsS3, {
  shouldUseMultipart: false,
  generateObjectKey: (file) => file.id,
  async signRequest({ key, contentType }) {
    const { name, size } = uppy.getFile(key)
    const target = await ask('/image-pipeline/uploads', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ sourceType: 'avatar', sourceId: 'user-1', filename: name, size, contentType }),
    })
    // AwsS3 takes absolute URLs only.
    return { url: new URL(target.url, location.href).href, headers: target.headers, key: target.uploadId }
  },
})

// The bytes came through, and the picture did not: for Uppy, this upload is not complete.
function refuse(id, error) {
  const file = uppy.getFile(id)
  if (!file) return
  uppy.setFileState(id, { progress: { ...file.progress, uploadComplete: false } })
  uppy.emit('upload-error', file, error)
}

// Where the gate refuses the bytes, its words are in the body; a bucket answers with XML.
function messageOf(error) {
  try {
    return JSON.parse(error.body).message ?? error.message
  } catch {
    return error.message
  }
}

uppy.on('upload-error', (file, error) => uppy.info(messageOf(error), 'error', 10_000))

uppy.addPostProcessor(async (fileIDs) => {
  const files = fileIDs.map((id) => uppy.getFile(id)).filter((file) => file && !file.error)
  await Promise.all(files.map(async (file) => {
    uppy.emit('postprocess-progress', file, { mode: 'indeterminate', message: 'Checking the picture' })
    try {
      const uploadId = file.response.body.key
      const { jobId, statusUrl } = await ask(`/image-pipeline/uploads/${uploadId}/complete`, { method: 'POST' })
      if (!uppy.getFile(file.id)) return await remove(jobId)
      uppy.setFileMeta(file.id, { jobId })
      const { media } = await verdict(statusUrl)
      document.querySelector('#avatar').src = media.urls.sm
    } catch (error) {
      refuse(file.id, error)
    }
    uppy.emit('postprocess-complete', file)
  }))
})

uppy.on('file-removed', (file) => {
  if (file.meta.jobId) remove(file.meta.jobId)
})
