-- CreateTable
CREATE TABLE "mediagate_event" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "type" TEXT NOT NULL,
    "jobId" TEXT NOT NULL,
    "data" TEXT NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "passedOnAt" DATETIME
);

-- CreateTable
CREATE TABLE "mediagate_webhook_delivery" (
    "eventId" TEXT NOT NULL,
    "endpoint" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "dueAt" DATETIME NOT NULL,
    "owner" TEXT,
    "answer" INTEGER,
    "error" TEXT,
    "triedAt" DATETIME,

    PRIMARY KEY ("eventId", "endpoint"),
    CONSTRAINT "mediagate_webhook_delivery_eventId_fkey" FOREIGN KEY ("eventId") REFERENCES "mediagate_event" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "mediagate_webhook_stop" (
    "endpoint" TEXT NOT NULL PRIMARY KEY,
    "stoppedAt" DATETIME NOT NULL
);

-- CreateIndex
CREATE INDEX "mediagate_event_passedOnAt_createdAt_id_idx" ON "mediagate_event"("passedOnAt", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_event_jobId_idx" ON "mediagate_event"("jobId");

-- CreateIndex
CREATE INDEX "mediagate_event_createdAt_idx" ON "mediagate_event"("createdAt");

-- CreateIndex
CREATE INDEX "mediagate_webhook_delivery_status_dueAt_idx" ON "mediagate_webhook_delivery"("status", "dueAt");

