/**
 * Where a text stops being JSON, in the predecessor's words.
 *
 * The engine's own message quotes the text around the error, and a malformed
 * `secrets.add` holds a value. This walk names the one character that does not
 * belong and what was being looked for, nothing else.
 */

/** The message for a text that `JSON.parse` refused. */
export const syntaxError = (text: string): string => {
  try {
    const scanner = new Scanner(text)
    scanner.value()
    scanner.end()
    return "not valid JSON"
  } catch (found) {
    return found instanceof Unexpected ? found.message : "invalid character '[' exceeded max depth"
  }
}

class Unexpected extends Error {}

const blank = new Set([" ", "\t", "\n", "\r"])
const digit = /^[0-9]$/

class Scanner {
  private at = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  value(): void {
    this.skipBlanks()
    const first = this.peek()
    if (first === "{") return this.object()
    if (first === "[") return this.array()
    if (first === '"') return this.string()
    if (first === "-" || digit.test(first)) return this.number()
    if (first === "t") return this.literal("true")
    if (first === "f") return this.literal("false")
    if (first === "n") return this.literal("null")
    this.fail("looking for beginning of value")
  }

  end(): void {
    this.skipBlanks()
    if (this.at < this.text.length) this.fail("after top-level value")
  }

  private object(): void {
    this.at += 1
    this.skipBlanks()
    if (this.skip("}")) return
    do {
      this.skipBlanks()
      if (this.peek() !== '"') this.fail("looking for beginning of object key string")
      this.string()
      this.skipBlanks()
      if (!this.skip(":")) this.fail("after object key")
      this.value()
      this.skipBlanks()
    } while (this.skip(","))
    if (!this.skip("}")) this.fail("after object key:value pair")
  }

  private array(): void {
    this.at += 1
    this.skipBlanks()
    if (this.skip("]")) return
    do {
      this.value()
      this.skipBlanks()
    } while (this.skip(","))
    if (!this.skip("]")) this.fail("after array element")
  }

  private string(): void {
    for (this.at += 1; ; this.at += 1) {
      const character = this.peek()
      if (character === '"') break
      if (character < " ") this.fail("in string literal")
      if (character === "\\") this.escape()
    }
    this.at += 1
  }

  private escape(): void {
    this.at += 1
    if (this.peek() === "u") {
      for (let digits = 0; digits < 4; digits += 1) {
        this.at += 1
        if (!/^[0-9a-fA-F]$/.test(this.peek())) this.fail("in \\u hexadecimal character escape")
      }
    } else if (!'"\\/bfnrt'.includes(this.peek())) this.fail("in string escape code")
  }

  private number(): void {
    if (this.skip("-") && !digit.test(this.peek())) this.fail("in numeric literal")
    if (!this.skip("0")) this.digits()
    if (this.skip(".")) this.someDigits("after decimal point in numeric literal")
    if (this.skip("e") || this.skip("E")) {
      if (!this.skip("+")) this.skip("-")
      this.someDigits("in exponent of numeric literal")
    }
  }

  private someDigits(where: string): void {
    if (!digit.test(this.peek())) this.fail(where)
    this.digits()
  }

  private digits(): void {
    while (digit.test(this.text[this.at] ?? "")) this.at += 1
  }

  private literal(word: string): void {
    for (const [index, expected] of [...word].entries()) {
      if (index > 0 && this.peek() !== expected) this.fail(`in literal ${word} (expecting '${expected}')`)
      this.at += 1
    }
  }

  private skipBlanks(): void {
    while (blank.has(this.text[this.at] ?? "")) this.at += 1
  }

  private skip(character: string): boolean {
    if (this.text[this.at] !== character) return false
    this.at += 1
    return true
  }

  /** The next character; at the end the text is cut off, whatever was looked for. */
  private peek(): string {
    const character = this.text[this.at]
    if (character === undefined) throw new Unexpected("unexpected end of JSON input")
    return character
  }

  private fail(where: string): never {
    const character = this.peek()
    const shown =
      character === "'" ? `'\\''` : character === '"' ? `'"'` : `'${JSON.stringify(character).slice(1, -1)}'`
    throw new Unexpected(`invalid character ${shown} ${where}`)
  }
}
