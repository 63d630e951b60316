-- CreateTable
CREATE TABLE "mediagate_rejudging" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "open" TEXT,
    "sourceType" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "moderator" TEXT,
    "outdated" BOOLEAN NOT NULL,
    "rate" INTEGER NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "nextAt" DATETIME NOT NULL,
    "cursor" TEXT,
    "claims" INTEGER NOT NULL DEFAULT 0,
    "drawnAt" DATETIME,
    "passed" INTEGER NOT NULL DEFAULT 0,
    "fell" INTEGER NOT NULL DEFAULT 0,
    "failed" INTEGER NOT NULL DEFAULT 0,
    "gone" INTEGER NOT NULL DEFAULT 0,
    "current" INTEGER NOT NULL DEFAULT 0
);

-- CreateTable
CREATE TABLE "mediagate_rejudgement" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "rejudgingId" TEXT NOT NULL,
    "jobId" TEXT NOT NULL,
    "mediaId" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "maxAttempts" INTEGER NOT NULL,
    "leaseOwner" TEXT,
    "leaseUntil" DATETIME,
    "availableAt" DATETIME NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "finishedAt" DATETIME,
    "verdict" TEXT,
    "error" TEXT,
    "code" TEXT,
    CONSTRAINT "mediagate_rejudgement_rejudgingId_fkey" FOREIGN KEY ("rejudgingId") REFERENCES "mediagate_rejudging" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "mediagate_rejudgement_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "mediagate_job" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateIndex
CREATE UNIQUE INDEX "mediagate_rejudging_open_key" ON "mediagate_rejudging"("open");

-- CreateIndex
CREATE INDEX "mediagate_rejudgement_rejudgingId_status_availableAt_idx" ON "mediagate_rejudgement"("rejudgingId", "status", "availableAt");

-- CreateIndex
CREATE INDEX "mediagate_rejudgement_status_id_idx" ON "mediagate_rejudgement"("status", "id");

-- CreateIndex
CREATE INDEX "mediagate_rejudgement_jobId_status_idx" ON "mediagate_rejudgement"("jobId", "status");
