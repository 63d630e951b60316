// As printed, but for the host, the job, the key and the pause, which come from the command line.
const [HOST, JOB_ID, YOUR_API_KEY] = process.argv.slice(2);
async function waitForJob(jobId, apiKey, timeout = 120000) {
  const url = `${HOST}/v1/jobs/${jobId}`;
  const start = Date.now();
  while (Date.now() - start < timeout) {
    const response = await fetch(url, {
      headers: { "Authorization": `Bearer ${apiKey}` }
    });
    const job = await response.json();
    if (job.status === "completed") return job.images;
    if (job.status === "failed") throw new Error(job.error.message);
    await new Promise(r => setTimeout(r, 300));
  }
  throw new Error("Job timed out");
}
// Usage
const images = await waitForJob(JOB_ID, YOUR_API_KEY);
images.forEach(img => console.log(img.url));
