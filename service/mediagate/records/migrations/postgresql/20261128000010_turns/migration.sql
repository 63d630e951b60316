-- DropIndex
DROP INDEX "mediagate_job_status_availableAt_idx";

-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN     "priority" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "turn" BIGINT NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "mediagate_turn" (
    "priority" INTEGER NOT NULL,
    "share" TEXT NOT NULL,
    "turn" BIGINT NOT NULL,

    CONSTRAINT "mediagate_turn_pkey" PRIMARY KEY ("priority","share")
);

-- CreateIndex
CREATE INDEX "mediagate_job_status_priority_turn_availableAt_idx" ON "mediagate_job"("status", "priority", "turn", "availableAt");

-- CreateIndex
CREATE INDEX "mediagate_job_status_attempts_availableAt_idx" ON "mediagate_job"("status", "attempts", "availableAt");

-- What is claimed next. By statistics from before a backlog came, nothing waits, and the planner would take any index on
-- the status and sort the backlog for each claim. No other index knows this expression, and this one is sorted.
-- A partial index, of which Prisma's schema knows nothing and which Prisma Migrate leaves alone.
CREATE INDEX "mediagate_job_turn_idx" ON "mediagate_job"("priority", "turn", "availableAt") WHERE ("status" || '') = 'PENDING' AND "attemptsLeft" > 0;
