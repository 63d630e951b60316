-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "batchId" TEXT;
ALTER TABLE "mediagate_job" ADD COLUMN "batchPosition" INTEGER;

-- AlterTable
ALTER TABLE "mediagate_event" ADD COLUMN "laterType" TEXT;

-- CreateTable
CREATE TABLE "mediagate_batch" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "createdAt" DATETIME NOT NULL,
    "clientReferenceId" TEXT,
    "callbackUrl" TEXT,
    "ownerId" TEXT,
    "reportedAt" DATETIME
);

-- CreateIndex
CREATE INDEX "mediagate_batch_reportedAt_createdAt_idx" ON "mediagate_batch"("reportedAt", "createdAt");

-- CreateIndex
CREATE INDEX "mediagate_batch_ownerId_id_idx" ON "mediagate_batch"("ownerId", "id");

-- CreateIndex
CREATE INDEX "mediagate_job_batchId_batchPosition_idx" ON "mediagate_job"("batchId", "batchPosition");
