-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "kind" TEXT NOT NULL DEFAULT 'media';
ALTER TABLE "mediagate_job" ADD COLUMN "spec" TEXT;
ALTER TABLE "mediagate_job" ADD COLUMN "inputs" TEXT;
ALTER TABLE "mediagate_job" ADD COLUMN "result" TEXT;
ALTER TABLE "mediagate_job" ADD COLUMN "stages" TEXT;
ALTER TABLE "mediagate_job" ADD COLUMN "expiresAt" DATETIME;
ALTER TABLE "mediagate_job" ADD COLUMN "clearedAt" DATETIME;

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

    PRIMARY KEY ("jobId", "position"),
    CONSTRAINT "mediagate_output_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "mediagate_job" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateIndex
CREATE INDEX "mediagate_job_expiresAt_id_idx" ON "mediagate_job"("expiresAt", "id");
