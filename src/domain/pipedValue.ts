/**
 * Returns the value in what a program printed into a pipe. A single line is meant without its
 * line end. Several lines are kept whole: the last line feed is a part of a key or certificate.
 */
export const pipedValue = (text: string): string => (/^[^\n]*\n$/.test(text) ? text.replace(/\r?\n$/, "") : text)
