// Shared by the clients: a fetch that waits while the gate is busy, and the wait for the verdict.

export const ATTEMPTS = 4

export const isBusy = (status) => status === 429 || status === 503

// Retry-After is in seconds. An hourly limit may ask for a long pause: wait a minute at most.
export const pause = (retryAfter) =>
  new Promise((resolve) => setTimeout(resolve, Math.min(Number(retryAfter) || 1, 60) * 1000))

// Resolves with the JSON of the answer. Rejects with an error whose message is for people.
export async function ask(url, options, attempt = 1) {
  const response = await fetch(url, options)
  if (isBusy(response.status) && attempt < ATTEMPTS) {
    await pause(response.headers.get('Retry-After'))
    return ask(url, options, attempt + 1)
  }
  const body = response.status === 204 ? {} : await response.json().catch(() => ({}))
  if (!response.ok) throw new Error(body.message ?? response.statusText)
  return body
}

// Resolves with the complete job. Rejects as ask does: a rejected or failed job is answered 400 or 500.
export async function verdict(statusUrl, options) {
  for (;;) {
    const job = await ask(`${statusUrl}?wait=30&http=status`, options)
    if (job.status === 'COMPLETE') return job
  }
}

export const remove = (jobId) => ask(`/image-pipeline/jobs/${jobId}`, { method: 'DELETE' })
