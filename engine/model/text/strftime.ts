/**
 * strftime_now(format) of chat templates, as Python's strftime writes it in the C locale. The jinja library's own knows
 * seven directives, writes the others as they stand, and names months in the host's language. Not here: the clock.
 */

/** A time of the wall clock, to the minute. */
export interface Moment {
  readonly year: number;
  /** The month, from 1. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
}

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

const LONGEST_FORMAT = 64;

/** Each directive, as a number with its width or as a text. */
const DIRECTIVES: Readonly<Record<string, (moment: Moment) => readonly [value: number, width: number, filler?: " "] | string>> = {
  Y: ({ year }) => String(year),
  y: ({ year }) => [year % 100, 2],
  m: ({ month }) => [month, 2],
  d: ({ day }) => [day, 2],
  e: ({ day }) => [day, 2, " "],
  j: (moment) => [dayOfYear(moment), 3],
  H: ({ hour }) => [hour, 2],
  I: ({ hour }) => [hour % 12 || 12, 2],
  M: ({ minute }) => [minute, 2],
  p: ({ hour }) => (hour < 12 ? "AM" : "PM"),
  B: ({ month }) => MONTHS[month - 1]!,
  b: ({ month }) => MONTHS[month - 1]!.slice(0, 3),
  h: ({ month }) => MONTHS[month - 1]!.slice(0, 3),
  A: (moment) => DAYS[dayOfWeek(moment)]!,
  a: (moment) => DAYS[dayOfWeek(moment)]!.slice(0, 3),
  u: (moment) => String(dayOfWeek(moment) || 7),
  w: (moment) => String(dayOfWeek(moment)),
  F: (moment) => strftime(moment, "%Y-%m-%d"),
  D: (moment) => strftime(moment, "%m/%d/%y"),
  x: (moment) => strftime(moment, "%m/%d/%y"),
  R: (moment) => strftime(moment, "%H:%M"),
  z: () => "", // the moment knows no time zone, nor does transformers'
  Z: () => "",
  n: () => "\n",
  t: () => "\t",
  "%": () => "%",
};

/**
 * Writes a moment by a format.
 * @param format with directives such as `%d`; `%-d` leaves out the zero in front
 * @throws {Error} naming a directive that is not known here: a prompt must not hold it as it stands
 * @example strftime({ year: 2026, month: 7, day: 4, hour: 21, minute: 5 }, "%A, %-d %B %Y") // "Saturday, 4 July 2026"
 */
export function strftime(moment: Moment, format: string): string {
  if (format.length > LONGEST_FORMAT) throw new Error(`strftime_now takes formats of up to ${LONGEST_FORMAT} characters`);
  return format.replaceAll(/%(-?)([\s\S]?)/g, (directive, unpadded: string, letter: string) => {
    const write = Object.hasOwn(DIRECTIVES, letter) ? DIRECTIVES[letter] : undefined;
    if (write === undefined) throw new Error(`strftime_now has no directive ${directive}`);
    const written = write(moment);
    if (typeof written === "string") return written;
    const [value, width, filler = "0"] = written;
    return unpadded === "" ? String(value).padStart(width, filler) : String(value);
  });
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

function dayOfYear({ year, month, day }: Moment): number {
  return DAYS_BEFORE_MONTH[month - 1]! + day + (isLeap(year) && month > 2 ? 1 : 0);
}

/** The day of the week, Sunday 0, in the Gregorian calendar. */
function dayOfWeek(moment: Moment): number {
  const past = moment.year - 1;
  return (past + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) + dayOfYear(moment)) % 7;
}
