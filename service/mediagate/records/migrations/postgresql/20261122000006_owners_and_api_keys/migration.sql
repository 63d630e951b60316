-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN     "bytesOut" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "day" TEXT NOT NULL DEFAULT '',
ADD COLUMN     "modelRuns" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "ownerId" TEXT;

-- The days of what is there already
UPDATE "mediagate_job" SET "day" = to_char("createdAt", 'YYYY-MM-DD');

-- AlterTable
ALTER TABLE "mediagate_media" ADD COLUMN     "ownerId" TEXT;

-- CreateTable
CREATE TABLE "mediagate_api_key" (
    "id" TEXT NOT NULL,
    "ownerId" TEXT NOT NULL,
    "secretHash" TEXT NOT NULL,
    "scopes" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "expiresAt" TIMESTAMP(3),
    "revokedAt" TIMESTAMP(3),
    "lastUsedAt" TIMESTAMP(3),

    CONSTRAINT "mediagate_api_key_pkey" PRIMARY KEY ("id")
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
