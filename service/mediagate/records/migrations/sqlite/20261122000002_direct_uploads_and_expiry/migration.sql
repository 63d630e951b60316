-- AlterTable
ALTER TABLE "mediagate_media" ADD COLUMN "expiresAt" DATETIME;

-- CreateTable
CREATE TABLE "mediagate_upload" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "sourceType" TEXT NOT NULL,
    "sourceId" TEXT NOT NULL,
    "contentType" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "filename" TEXT NOT NULL,
    "clientReferenceId" TEXT,
    "callbackUrl" TEXT,
    "focalX" REAL NOT NULL,
    "focalY" REAL NOT NULL,
    "tokenHash" TEXT,
    "jobId" TEXT,
    "ownerId" TEXT,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL
);

-- CreateIndex
CREATE INDEX "mediagate_upload_expiresAt_id_idx" ON "mediagate_upload"("expiresAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_media_expiresAt_id_idx" ON "mediagate_media"("expiresAt", "id");
