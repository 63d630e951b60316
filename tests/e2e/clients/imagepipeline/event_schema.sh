# As printed, but for the host, which is in API.
curl $API/webhooks/event-schema \
-H "X-API-Key: $IMAGEPIPELINE_API_KEY"
