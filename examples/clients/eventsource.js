import { ask, remove, verdict } from './gate.js'

const part = (id) => document.getElementById(id)

function follow(statusUrl, show, fail) {
  const events = new EventSource(statusUrl)
  events.addEventListener('status', (event) => {
    const job = JSON.parse(event.data)
    if (!['PENDING', 'PROCESSING'].includes(job.status)) events.close()
    show(job)
  })
  // The gate's own errors have data. Without data the connection was lost, and the browser connects again
  // by itself, except after an answer other than 200: then poll.
  events.addEventListener('error', (event) => {
    if (event.data) {
      events.close()
      fail(JSON.parse(event.data))
    } else if (events.readyState === EventSource.CLOSED) {
      verdict(statusUrl).then(show, fail)
    }
  })
  return events
}

part('photo').addEventListener('change', async () => {
  const form = new FormData()
  form.append('sourceType', 'avatar')
  form.append('sourceId', 'user-1')
  form.append('file', part('photo').files[0])

  const fail = ({ message }) => { part('message').textContent = message }
  const show = (job) => {
    part('progress').value = job.progress ?? 1
    if (job.media) part('avatar').src = job.media.urls.sm
    if (job.message) fail(job)
  }
  try {
    const { jobId, statusUrl } = await ask('/image-pipeline/upload', { method: 'POST', body: form })
    const events = follow(statusUrl, show, fail)
    part('remove').hidden = false
    part('remove').onclick = async () => {
      events.close()
      await remove(jobId)
      part('remove').hidden = true
      part('avatar').removeAttribute('src')
    }
  } catch (error) {
    fail(error)
  }
})
