// What the page says about a picture, in words.

const STAGES = {
  queued: "It waits for its turn.",
  moderate: "It is being checked and resized.",
  publish: "Its sizes are being published.",
  record: "It is being recorded.",
  done: "It is done.",
};
const REMOVED = {
  gps: "the place where it was taken",
  serial: "serial numbers of camera and lens",
  thumbnail: "the embedded thumbnail",
  exif: "camera data",
  xmp: "XMP data",
  iptc: "IPTC data",
  comment: "comments",
  text: "text notes",
};

export const BADGES = {
  SENDING: "SENDING", PENDING: "PENDING", PROCESSING: "PROCESSING", COMPLETE: "COMPLETE", REJECTED: "REJECTED",
  FAILED: "FAILED", REFUSED: "NOT ACCEPTED", UNREACHED: "NO CONNECTION", CANCELLED: "CANCELLED",
};

export const bytes = (count) => {
  if (count < 1000) return `${count} B`;
  const [unit, name] = count < 1e6 ? [1e3, "kB"] : [1e6, "MB"];
  return `${Math.round((10 * count) / unit) / 10} ${name}`;
};

export const pixels = ({ width, height }) => `${width} × ${height}`;

export const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;

const listed = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

export const accepted = ({ formats, limit }) =>
  `${formats.length < 2 ? formats.join("") : `${formats.slice(0, -1).join(", ")} or ${formats.at(-1)}`}, up to ${limit} each`;

/** One digit behind the point: a score just below a threshold must not look like one at it. */
export const percent = (score) => `${(100 * score).toFixed(1)} %`;

export const verdict = (decision, sorted) => {
  const [label, score] = sorted[0];
  return `${decision}. Highest of ${sorted.length} scores: ${label}, ${percent(score)}`;
};

export const stage = (name) => STAGES[name] ?? sentence(`stage ${name}`);

export const removed = (parts) => (parts.length
  ? `Removed from every file: ${listed(parts.map((part) => REMOVED[part] ?? part))}.`
  : "It carried no hidden data that had to be removed.");

export const facts = (media) => `${pixels(media)} pixels (${media.aspectRatio}), sent as ${media.format}, ${bytes(media.bytes)}.`;
