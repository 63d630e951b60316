-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN     "batchId" TEXT,
ADD COLUMN     "batchPosition" INTEGER;

-- AlterTable
ALTER TABLE "mediagate_event" ADD COLUMN     "laterType" TEXT;

-- CreateTable
CREATE TABLE "mediagate_batch" (
    "id" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "clientReferenceId" TEXT,
    "callbackUrl" TEXT,
    "ownerId" TEXT,
    "reportedAt" TIMESTAMP(3),

    CONSTRAINT "mediagate_batch_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "mediagate_batch_reportedAt_createdAt_idx" ON "mediagate_batch"("reportedAt", "createdAt");

-- CreateIndex
CREATE INDEX "mediagate_batch_ownerId_id_idx" ON "mediagate_batch"("ownerId", "id");

-- CreateIndex
CREATE INDEX "mediagate_job_batchId_batchPosition_idx" ON "mediagate_job"("batchId", "batchPosition");
