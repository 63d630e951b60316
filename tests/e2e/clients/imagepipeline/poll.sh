# As printed, but for the host, which is in API, and the job's id, which is in JOB.
curl $API/generate/image/v1/status/$JOB \
-H "X-API-Key: $IMAGEPIPELINE_API_KEY"
