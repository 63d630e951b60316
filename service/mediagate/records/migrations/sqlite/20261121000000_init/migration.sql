-- CreateTable
CREATE TABLE "mediagate_job" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "status" TEXT NOT NULL,
    "stage" TEXT NOT NULL,
    "sourceType" TEXT NOT NULL,
    "sourceId" TEXT NOT NULL,
    "mediaId" TEXT NOT NULL,
    "stagingKey" TEXT NOT NULL,
    "filename" TEXT NOT NULL,
    "format" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "sha256" TEXT NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "clientReferenceId" TEXT,
    "callbackUrl" TEXT,
    "focalX" REAL NOT NULL,
    "focalY" REAL NOT NULL,
    "attempts" INTEGER NOT NULL,
    "attemptsLeft" INTEGER NOT NULL,
    "maxAttempts" INTEGER NOT NULL,
    "leaseOwner" TEXT,
    "leaseUntil" DATETIME,
    "availableAt" DATETIME NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "startedAt" DATETIME,
    "finishedAt" DATETIME,
    "notifiedAt" DATETIME,
    "reason" TEXT,
    "error" TEXT,
    "code" TEXT,
    "retryable" BOOLEAN NOT NULL,
    "verdict" TEXT,
    "timings" TEXT NOT NULL,
    "warnings" TEXT NOT NULL
);

-- CreateTable
CREATE TABLE "mediagate_media" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "jobId" TEXT NOT NULL,
    "sourceType" TEXT NOT NULL,
    "sourceId" TEXT NOT NULL,
    "originalKey" TEXT,
    "format" TEXT NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "bytes" INTEGER NOT NULL,
    "aspectRatio" TEXT NOT NULL,
    "blurhash" TEXT NOT NULL,
    "dominantColor" TEXT NOT NULL,
    "hasAlpha" BOOLEAN NOT NULL,
    "frames" INTEGER NOT NULL,
    "focalX" REAL NOT NULL,
    "focalY" REAL NOT NULL,
    "removed" TEXT NOT NULL,
    "clientReferenceId" TEXT,
    "createdAt" DATETIME NOT NULL,
    CONSTRAINT "mediagate_media_jobId_fkey" FOREIGN KEY ("jobId") REFERENCES "mediagate_job" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "mediagate_variant" (
    "mediaId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "key" TEXT NOT NULL,
    "format" TEXT NOT NULL,
    "width" INTEGER NOT NULL,
    "height" INTEGER NOT NULL,
    "bytes" INTEGER NOT NULL,

    PRIMARY KEY ("mediaId", "name"),
    CONSTRAINT "mediagate_variant_mediaId_fkey" FOREIGN KEY ("mediaId") REFERENCES "mediagate_media" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "mediagate_idempotency_key" (
    "key" TEXT NOT NULL PRIMARY KEY,
    "jobId" TEXT,
    "fingerprint" TEXT,
    "expiresAt" DATETIME NOT NULL
);

-- CreateIndex
CREATE UNIQUE INDEX "mediagate_job_mediaId_key" ON "mediagate_job"("mediaId");

-- CreateIndex
CREATE INDEX "mediagate_job_status_availableAt_idx" ON "mediagate_job"("status", "availableAt");

-- CreateIndex
CREATE INDEX "mediagate_job_status_leaseUntil_idx" ON "mediagate_job"("status", "leaseUntil");

-- CreateIndex
CREATE INDEX "mediagate_job_notifiedAt_finishedAt_idx" ON "mediagate_job"("notifiedAt", "finishedAt");

-- CreateIndex
CREATE UNIQUE INDEX "mediagate_media_jobId_key" ON "mediagate_media"("jobId");

-- CreateIndex
CREATE INDEX "mediagate_media_sourceType_createdAt_id_idx" ON "mediagate_media"("sourceType", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_media_sourceType_sourceId_createdAt_id_idx" ON "mediagate_media"("sourceType", "sourceId", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_idempotency_key_expiresAt_idx" ON "mediagate_idempotency_key"("expiresAt");

