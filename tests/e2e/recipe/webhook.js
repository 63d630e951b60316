fastify.post("/webhooks/image-ready", async (request, reply) => {
  const { jobId, userId } = request.body;
  const res = await fetch(`http://localhost:3000/image-pipeline/status/${jobId}`);
  const data = await res.json();
  if (data.status === "COMPLETE") {
    await fastify.notifications.send(userId, {
      type: "image_ready",
      avatarUrl: data.media.urls.sm,
    });
  }
  return { ok: true };
});
