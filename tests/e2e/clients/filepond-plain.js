import * as FilePond from 'filepond'
import 'filepond/dist/filepond.min.css'

FilePond.create(document.querySelector('#photo'), {
  name: 'file',
  labelFileProcessingError: (error) => error.body,
  server: {
    process: {
      url: '/image-pipeline/upload',
      ondata: (form) => {
        form.append('sourceType', 'avatar')
        form.append('sourceId', 'user-1')
        return form
      },
      onload: (answer) => JSON.parse(answer).jobId,
      onerror: (answer) => JSON.parse(answer).message,
    },
  },
})
