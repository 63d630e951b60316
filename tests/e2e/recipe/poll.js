async function waitForProcessing(jobId, maxPolls = 30) {
  for (let i = 0; i < maxPolls; i++) {
    const res = await fetch(`/image-pipeline/status/${jobId}`);
    const body = await res.json();
    if (res.status === 200) return body.media; // COMPLETE
    if (res.status === 400) throw new Error(body.reason); // REJECTED
    if (res.status === 500) throw new Error(body.error); // FAILED
    await new Promise((r) => setTimeout(r, 1500)); // 1.5 s between polls
  }
  throw new Error("Processing timed out");
}
// Usage
const jobId = (await uploadFile(file)).jobId;
const media = await waitForProcessing(jobId);
console.log(media.urls.sm); // ready-to-use URL
