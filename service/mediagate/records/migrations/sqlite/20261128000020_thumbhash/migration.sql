-- AlterTable
ALTER TABLE "mediagate_media" ADD COLUMN "thumbhash" TEXT;
