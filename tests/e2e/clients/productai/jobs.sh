# As printed, but for the host, the job and the key, which come from the environment.
curl "$HOST/v1/jobs/$JOB_ID" \
  -H "Authorization: Bearer $YOUR_API_KEY"
curl "$HOST/v1/jobs?limit=10&status=completed" \
  -H "Authorization: Bearer $YOUR_API_KEY"
