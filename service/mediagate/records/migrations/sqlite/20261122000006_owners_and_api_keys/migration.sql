-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "ownerId" TEXT;
ALTER TABLE "mediagate_job" ADD COLUMN "day" TEXT NOT NULL DEFAULT '';
ALTER TABLE "mediagate_job" ADD COLUMN "bytesOut" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "mediagate_job" ADD COLUMN "modelRuns" INTEGER NOT NULL DEFAULT 0;

-- The days of what is there already; a native engine writes moments as milliseconds
UPDATE "mediagate_job" SET "day" = CASE typeof("createdAt") WHEN 'integer' THEN date("createdAt" / 1000, 'unixepoch') ELSE substr("createdAt", 1, 10) END;

-- AlterTable
ALTER TABLE "mediagate_media" ADD COLUMN "ownerId" TEXT;

-- CreateTable
CREATE TABLE "mediagate_api_key" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "ownerId" TEXT NOT NULL,
    "secretHash" TEXT NOT NULL,
    "scopes" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME,
    "revokedAt" DATETIME,
    "lastUsedAt" DATETIME
);

-- CreateIndex
CREATE INDEX "mediagate_job_createdAt_id_idx" ON "mediagate_job"("createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_job_status_createdAt_id_idx" ON "mediagate_job"("status", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_job_sourceType_sourceId_createdAt_id_idx" ON "mediagate_job"("sourceType", "sourceId", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_job_ownerId_createdAt_id_idx" ON "mediagate_job"("ownerId", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_media_ownerId_sourceType_createdAt_id_idx" ON "mediagate_media"("ownerId", "sourceType", "createdAt", "id");
