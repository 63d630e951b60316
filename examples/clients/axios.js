import axios from 'axios'
import { ATTEMPTS, isBusy, pause } from './gate.js'

const part = (id) => document.getElementById(id)

const gate = axios.create()

gate.interceptors.response.use(undefined, async (error) => {
  const { config, response } = error
  if (isBusy(response?.status) && (config.attempt ?? 1) < ATTEMPTS) {
    await pause(response.headers['retry-after'])
    return gate({ ...config, attempt: (config.attempt ?? 1) + 1 })
  }
  // A problem, and a job that was rejected (400) or has failed (500): each has a message for people.
  if (response?.data?.message) error.message = response.data.message
  throw error
})

async function verdict(statusUrl, signal) {
  for (;;) {
    const { status, data } = await gate.get(statusUrl, { params: { wait: 30, http: 'status' }, signal })
    if (status === 200) return data
  }
}

part('photo').addEventListener('change', async () => {
  const controller = new AbortController()
  const { signal } = controller
  let jobId
  part('remove').hidden = false
  part('remove').onclick = async () => {
    controller.abort()
    if (jobId) await gate.delete(`/image-pipeline/jobs/${jobId}`)
    part('remove').hidden = true
    part('avatar').removeAttribute('src')
  }
  try {
    const form = { sourceType: 'avatar', sourceId: 'user-1', file: part('photo').files[0] }
    const onUploadProgress = (event) => { part('progress').value = event.progress ?? 0 }
    const { data: job } = await gate.postForm('/image-pipeline/upload', form, { signal, onUploadProgress })
    jobId = job.jobId
    const { media } = await verdict(job.statusUrl, signal)
    part('avatar').src = media.urls.sm
  } catch (error) {
    if (!axios.isCancel(error)) part('message').textContent = error.message
  }
})
