# As printed, but for the host, the job and the key, which come from the environment.
curl --request GET \
  --url $HOST/pictoryapis/v1/jobs/$JOB_ID \
  --header "Authorization: $YOUR_API_KEY"
