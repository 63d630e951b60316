-- CreateTable
CREATE TABLE "mediagate_identity" (
    "name" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "generation" BIGINT NOT NULL,

    CONSTRAINT "mediagate_identity_pkey" PRIMARY KEY ("name")
);
