/**
 * How systemd wants values written in a unit, one function for each of its dialects.
 *
 * A percent sign begins a specifier in all of them. No value has a control character:
 * what is put into a unit is looked at before (`namesNothingOdd`). Source: systemd.syntax(7), and
 * src/basic/extract-word.c for what the manual leaves open.
 */

/** A word of a command line or of Environment=, in which a backslash escapes. */
export const systemdWord = (value: string): string =>
  plain.test(value) ? value : `"${percent(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`

/** A path in a list of paths: quotes are taken away, but a backslash is a backslash. */
export const listedPath = (value: string): string =>
  plain.test(value)
    ? value
    : percent(value)
        .split('"')
        .map((piece) => `"${piece}"`)
        .join(`'"'`)

/** A path that is all of a line: neither quotes nor backslashes mean anything. */
export const wholeLine = (value: string): string => percent(value)

const plain = /^[\w./:=@+,-]+$/

const percent = (value: string): string => value.replaceAll("%", "%%")
