import * as FilePond from 'filepond'
import 'filepond/dist/filepond.min.css'
import { ATTEMPTS, isBusy, pause, remove, verdict } from './gate.js'

function send(form, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', '/image-pipeline/upload')
    request.responseType = 'json'
    request.upload.onprogress = (event) => progress(event.lengthComputable, event.loaded, event.total)
    request.onload = () => resolve(request)
    request.onerror = () => reject(new Error('The network failed.'))
    signal.addEventListener('abort', () => request.abort())
    request.send(form)
  })
}

async function upload(name, file, progress, signal) {
  const form = new FormData()
  form.append('sourceType', 'avatar')
  form.append('sourceId', 'user-1')
  form.append(name, file, file.name)
  for (let attempt = 1; ; attempt += 1) {
    const answer = await send(form, progress, signal)
    if (answer.status === 202) return answer.response
    if (!isBusy(answer.status) || attempt === ATTEMPTS) {
      throw new Error(answer.response?.message ?? answer.statusText)
    }
    await pause(answer.getResponseHeader('Retry-After'))
  }
}

FilePond.create(document.querySelector('#photo'), {
  name: 'file',
  labelFileProcessingError: (error) => error.body,
  server: {
    process(name, file, metadata, load, error, progress, abort) {
      const controller = new AbortController()
      const { signal } = controller
      let job
      async function run() {
        job = await upload(name, file, progress, signal)
        progress(false, 0, 0)
        const { jobId, media } = await verdict(job.statusUrl, { signal })
        document.querySelector('#avatar').src = media.urls.sm
        load(jobId)
      }
      run().catch((reason) => signal.aborted || error(reason.message))
      return {
        abort() {
          controller.abort()
          if (job) remove(job.jobId)
          abort()
        },
      }
    },
    revert(jobId, load, error) {
      remove(jobId).then(load, (reason) => error(reason.message))
    },
  },
})
