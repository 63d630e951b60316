-- CreateTable
CREATE TABLE "mediagate_rate_counter" (
    "id" TEXT NOT NULL,
    "used" BIGINT NOT NULL,
    "allowed" BIGINT NOT NULL,
    "resetsAt" BIGINT NOT NULL,

    CONSTRAINT "mediagate_rate_counter_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "mediagate_rate_slot" (
    "caller" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "token" TEXT NOT NULL,
    "jobId" TEXT,
    "until" BIGINT NOT NULL,

    CONSTRAINT "mediagate_rate_slot_pkey" PRIMARY KEY ("caller","number")
);

-- CreateIndex
CREATE INDEX "mediagate_rate_counter_resetsAt_idx" ON "mediagate_rate_counter"("resetsAt");

-- CreateIndex
CREATE INDEX "mediagate_rate_slot_token_idx" ON "mediagate_rate_slot"("token");

-- CreateIndex
CREATE INDEX "mediagate_rate_slot_until_idx" ON "mediagate_rate_slot"("until");
