-- DropIndex
DROP INDEX "mediagate_job_status_availableAt_idx";

-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "priority" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "mediagate_job" ADD COLUMN "turn" BIGINT NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "mediagate_turn" (
    "priority" INTEGER NOT NULL,
    "share" TEXT NOT NULL,
    "turn" BIGINT NOT NULL,

    PRIMARY KEY ("priority", "share")
);

-- CreateIndex
CREATE INDEX "mediagate_job_status_priority_turn_availableAt_idx" ON "mediagate_job"("status", "priority", "turn", "availableAt");

-- CreateIndex
CREATE INDEX "mediagate_job_status_attempts_availableAt_idx" ON "mediagate_job"("status", "attempts", "availableAt");
