-- CreateTable
CREATE TABLE "mediagate_rejudging" (
    "id" TEXT NOT NULL,
    "open" TEXT,
    "sourceType" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "moderator" TEXT,
    "outdated" BOOLEAN NOT NULL,
    "rate" INTEGER NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "nextAt" TIMESTAMP(3) NOT NULL,
    "cursor" TEXT,
    "claims" INTEGER NOT NULL DEFAULT 0,
    "drawnAt" TIMESTAMP(3),
    "passed" INTEGER NOT NULL DEFAULT 0,
    "fell" INTEGER NOT NULL DEFAULT 0,
    "failed" INTEGER NOT NULL DEFAULT 0,
    "gone" INTEGER NOT NULL DEFAULT 0,
    "current" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "mediagate_rejudging_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "mediagate_rejudgement" (
    "id" TEXT NOT NULL,
    "rejudgingId" TEXT NOT NULL,
    "jobId" TEXT NOT NULL,
    "mediaId" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "maxAttempts" INTEGER NOT NULL,
    "leaseOwner" TEXT,
    "leaseUntil" TIMESTAMP(3),
    "availableAt" TIMESTAMP(3) NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "finishedAt" TIMESTAMP(3),
    "verdict" TEXT,
    "error" TEXT,
    "code" TEXT,

    CONSTRAINT "mediagate_rejudgement_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "mediagate_rejudging_open_key" ON "mediagate_rejudging"("open");

-- CreateIndex
CREATE INDEX "mediagate_rejudgement_rejudgingId_status_availableAt_idx" ON "mediagate_rejudgement"("rejudgingId", "status", "availableAt");

-- CreateIndex
CREATE INDEX "mediagate_rejudgement_status_id_idx" ON "mediagate_rejudgement"("status", "id");

-- CreateIndex
CREATE INDEX "mediagate_rejudgement_jobId_status_idx" ON "mediagate_rejudgement"("jobId", "status");

-- AddForeignKey
ALTER TABLE "mediagate_rejudgement" ADD CONSTRAINT "mediagate_rejudgement_rejudgingId_fkey" FOREIGN KEY ("rejudgingId") REFERENCES "mediagate_rejudging"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mediagate_rejudgement" ADD CONSTRAINT "mediagate_rejudgement_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "mediagate_job"("id") ON DELETE CASCADE ON UPDATE CASCADE;
