-- CreateTable
CREATE TABLE "mediagate_event" (
    "id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "jobId" TEXT NOT NULL,
    "data" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "passedOnAt" TIMESTAMP(3),

    CONSTRAINT "mediagate_event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "mediagate_webhook_delivery" (
    "eventId" TEXT NOT NULL,
    "endpoint" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "dueAt" TIMESTAMP(3) NOT NULL,
    "owner" TEXT,
    "answer" INTEGER,
    "error" TEXT,
    "triedAt" TIMESTAMP(3),

    CONSTRAINT "mediagate_webhook_delivery_pkey" PRIMARY KEY ("eventId","endpoint")
);

-- CreateTable
CREATE TABLE "mediagate_webhook_stop" (
    "endpoint" TEXT NOT NULL,
    "stoppedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "mediagate_webhook_stop_pkey" PRIMARY KEY ("endpoint")
);

-- CreateIndex
CREATE INDEX "mediagate_event_passedOnAt_createdAt_id_idx" ON "mediagate_event"("passedOnAt", "createdAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_event_jobId_idx" ON "mediagate_event"("jobId");

-- CreateIndex
CREATE INDEX "mediagate_event_createdAt_idx" ON "mediagate_event"("createdAt");

-- CreateIndex
CREATE INDEX "mediagate_webhook_delivery_status_dueAt_idx" ON "mediagate_webhook_delivery"("status", "dueAt");

-- AddForeignKey
ALTER TABLE "mediagate_webhook_delivery" ADD CONSTRAINT "mediagate_webhook_delivery_eventId_fkey" FOREIGN KEY ("eventId") REFERENCES "mediagate_event"("id") ON DELETE CASCADE ON UPDATE CASCADE;

