-- CreateTable
CREATE TABLE "mediagate_rate_counter" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "used" BIGINT NOT NULL,
    "allowed" BIGINT NOT NULL,
    "resetsAt" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "mediagate_rate_slot" (
    "caller" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "token" TEXT NOT NULL,
    "jobId" TEXT,
    "until" BIGINT NOT NULL,

    PRIMARY KEY ("caller", "number")
);

-- CreateIndex
CREATE INDEX "mediagate_rate_counter_resetsAt_idx" ON "mediagate_rate_counter"("resetsAt");

-- CreateIndex
CREATE INDEX "mediagate_rate_slot_token_idx" ON "mediagate_rate_slot"("token");

-- CreateIndex
CREATE INDEX "mediagate_rate_slot_until_idx" ON "mediagate_rate_slot"("until");
