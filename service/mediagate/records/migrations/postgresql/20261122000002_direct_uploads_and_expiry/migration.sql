-- AlterTable
ALTER TABLE "mediagate_media" ADD COLUMN     "expiresAt" TIMESTAMP(3);

-- CreateTable
CREATE TABLE "mediagate_upload" (
    "id" TEXT NOT NULL,
    "sourceType" TEXT NOT NULL,
    "sourceId" TEXT NOT NULL,
    "contentType" TEXT NOT NULL,
    "bytes" INTEGER NOT NULL,
    "filename" TEXT NOT NULL,
    "clientReferenceId" TEXT,
    "callbackUrl" TEXT,
    "focalX" DOUBLE PRECISION NOT NULL,
    "focalY" DOUBLE PRECISION NOT NULL,
    "tokenHash" TEXT,
    "jobId" TEXT,
    "ownerId" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "expiresAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "mediagate_upload_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "mediagate_upload_expiresAt_id_idx" ON "mediagate_upload"("expiresAt", "id");

-- CreateIndex
CREATE INDEX "mediagate_media_expiresAt_id_idx" ON "mediagate_media"("expiresAt", "id");
