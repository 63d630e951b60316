-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN     "kind" TEXT NOT NULL DEFAULT 'media',
ADD COLUMN     "spec" TEXT,
ADD COLUMN     "inputs" TEXT,
ADD COLUMN     "result" TEXT,
ADD COLUMN     "stages" TEXT,
ADD COLUMN     "expiresAt" TIMESTAMP(3),
ADD COLUMN     "clearedAt" TIMESTAMP(3);

-- CreateTable
CREATE TABLE "mediagate_output" (
    "jobId" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "input" TEXT NOT NULL,
    "filename" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "format" TEXT NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "frames" INTEGER NOT NULL,
    "bytes" INTEGER NOT NULL,

    CONSTRAINT "mediagate_output_pkey" PRIMARY KEY ("jobId","position")
);

-- CreateIndex
CREATE INDEX "mediagate_job_expiresAt_id_idx" ON "mediagate_job"("expiresAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_job_pipeline_idx" ON "mediagate_job"("priority", "turn", "availableAt") WHERE "kind" = 'pipeline' AND "status" = 'PENDING' AND "attemptsLeft" > 0;

-- AddForeignKey
ALTER TABLE "mediagate_output" ADD CONSTRAINT "mediagate_output_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "mediagate_job"("id") ON DELETE CASCADE ON UPDATE CASCADE;
