// The texts of the page about a picture.

const STAGES = {
  queued: "Waiting in the queue.",
  moderate: "Moderating and resizing.",
  publish: "Publishing the sizes.",
  record: "Recording the result.",
  done: "Done.",
};
const REMOVED = {
  gps: "the GPS position",
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
  `${formats.length < 2 ? formats.join("") : `${formats.slice(0, -1).join(", ")} or ${formats.at(-1)}`}, up to ${limit}`;

/** One decimal digit, so that a score just below a threshold does not look equal to it. */
export const percent = (score) => `${(100 * score).toFixed(1)} %`;

export const verdict = (decision, sorted) => {
  const [label, score] = sorted[0];
  return `${decision}. Highest of ${sorted.length} scores: ${label}, ${percent(score)}`;
};

export const stage = (name) => STAGES[name] ?? sentence(`stage ${name}`);

export const removed = (parts) => (parts.length
  ? `Removed from every file: ${listed(parts.map((part) => REMOVED[part] ?? part))}.`
  : "There was no hidden metadata to remove.");

export const facts = (media) => `${pixels(media)} pixels (${media.aspectRatio}), sent as ${media.format}, ${bytes(media.bytes)}.`;

/** The name of a parameter or an operation as a label. */
export const label = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

export const milliseconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export const hours = (count) => {
  const minutes = Math.round(count * 60);
  if (minutes % 60) return `${minutes} minutes`;
  return minutes === 60 ? "1 hour" : `${(minutes / 60).toLocaleString("en")} hours`;
};

export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** How long the files of a pipeline are kept. */
export const kept = (expiresAt, retention) => {
  const end = new Date(expiresAt).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return `Private, and deleted on ${end}${retention?.clamped ? ", the longest time that this service allows" : ""}.`;
};

/** Why a run failed, with steps counted from 1 as on the page; the gate counts them from 0. */
export const failure = (error) => sentence(error.replace(/while running step (\d+) \((\w+)\)/,
  (_, number, op) => `in step ${Number(number) + 1} (${label(op)})`));
