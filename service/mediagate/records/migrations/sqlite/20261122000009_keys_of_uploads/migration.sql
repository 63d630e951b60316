-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "keyId" TEXT;

-- AlterTable
ALTER TABLE "mediagate_upload" ADD COLUMN "keyId" TEXT;
