-- CreateIndex
CREATE INDEX "mediagate_idempotency_key_jobId_idx" ON "mediagate_idempotency_key"("jobId");

-- CreateIndex
CREATE INDEX "mediagate_upload_ownerId_id_idx" ON "mediagate_upload"("ownerId", "id");

-- CreateIndex
CREATE INDEX "mediagate_api_key_ownerId_idx" ON "mediagate_api_key"("ownerId");
