/**
 * The certificate authority of one run. Its key is made here and is nowhere else. It can name the hosts of the
 * run alone, by a critical constraint, so nobody can pretend to be another host with it.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { isIP, isIPv4 } from "node:net"
import { bits, certificatePem, identifier, integer, octets, sequence, setOf, tagged, time, truth, utf8 } from "./der.ts"

/** A certificate with its key, as servers of TLS take them. */
export interface Leaf {
  readonly cert: string
  readonly key: string
}

export interface CertificateAuthority {
  /** The certificate in PEM. */
  readonly pem: string
  /** Returns the certificate of a host. */
  readonly leafOf: (host: string) => Leaf
}

/** Clocks of a machine and its containers differ. */
const clockSkew = 60 * 60_000
/** Certificates are not valid for longer. */
const maxLifetime = 24 * 60 * 60_000

const ids = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectKey: "2.5.29.14",
  keyUsage: "2.5.29.15",
  alternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKey: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuthentication: "1.3.6.1.5.5.7.3.1"
}

interface Issuer {
  readonly name: Buffer
  readonly key: KeyObject
  readonly keyId: Buffer
}

interface Lifetime {
  readonly from: number
  readonly to: number
}

/** Makes an authority for these hosts, until a time in milliseconds. */
export const makeCertificateAuthority = (
  hosts: ReadonlyArray<string>,
  now: number,
  expires: number
): CertificateAuthority => {
  const lifetime = { from: now - clockSkew, to: Math.min(expires, now + maxLifetime) }
  const own = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const issuer: Issuer = {
    name: distinguishedName(`agent-secrets, run ${randomBytes(4).toString("hex")}`),
    key: own.privateKey,
    keyId: keyIdOf(own.publicKey)
  }
  const certificate = signed(issuer, issuer.name, own.publicKey, lifetime, [
    extension(ids.basicConstraints, sequence(truth, integer(Buffer.of(0))), "critical"),
    extension(ids.keyUsage, bits(Buffer.of(0b0000_0110), 1), "critical"),
    extension(ids.nameConstraints, nameConstraints(hosts), "critical")
  ])
  // One key serves all hosts of the run.
  const leafKey = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const key = leafKey.privateKey.export({ type: "pkcs8", format: "pem" }).toString()
  const leaves = new Map<string, Leaf>()
  const makeLeaf = (host: string): Leaf => ({
    key,
    cert: certificatePem(
      signed(issuer, distinguishedName(host.slice(0, maxCommonName)), leafKey.publicKey, lifetime, [
        extension(ids.basicConstraints, sequence(), "critical"),
        extension(ids.keyUsage, bits(Buffer.of(0b1000_0000), 7), "critical"),
        extension(ids.extendedKeyUsage, sequence(identifier(ids.serverAuthentication))),
        extension(ids.alternativeName, sequence(generalName(host, addressBytes(host))))
      ])
    )
  })
  return {
    pem: certificatePem(certificate),
    leafOf: (host) => {
      const leaf = leaves.get(host) ?? makeLeaf(host)
      leaves.set(host, leaf)
      return leaf
    }
  }
}

/** The limit of X.520 for a common name. */
const maxCommonName = 64

const distinguishedName = (commonName: string): Buffer =>
  sequence(setOf(sequence(identifier(ids.commonName), utf8(commonName))))

const keyIdOf = (key: KeyObject): Buffer =>
  createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 20)

const extension = (id: string, value: Buffer, ...critical: ReadonlyArray<"critical">): Buffer =>
  sequence(identifier(id), ...critical.map(() => truth), octets(value))

/** Permits the hosts, and nothing of any kind of name that no host has. */
const nameConstraints = (hosts: ReadonlyArray<string>): Buffer => {
  const addresses = hosts.filter((host) => addressBytes(host) !== undefined)
  const permitted = hosts.map((host) => {
    const bytes = addressBytes(host)
    return sequence(generalName(host, bytes && Buffer.concat([bytes, Buffer.alloc(bytes.length, 0xff)])))
  })
  const excluded = [
    ...(addresses.length === hosts.length ? [generalName("", undefined)] : []),
    ...(addresses.length > 0 ? [] : [generalName("", Buffer.alloc(8)), generalName("", Buffer.alloc(32))])
  ].map((name) => sequence(name))
  return sequence(
    tagged(0, "constructed", ...permitted),
    ...(excluded.length === 0 ? [] : [tagged(1, "constructed", ...excluded)])
  )
}

/** Returns a host as a name of a certificate: an address if it has bytes. */
const generalName = (host: string, address: Buffer | undefined): Buffer =>
  address === undefined ? tagged(2, "primitive", Buffer.from(host, "latin1")) : tagged(7, "primitive", address)

const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, "")

/** Returns the bytes of an address; undefined for a name. */
const addressBytes = (host: string): Buffer | undefined => {
  const address = withoutBrackets(host)
  if (isIP(address) === 0) return undefined
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number))
  // The form of URLs has no address of version 4 at its end.
  const { hostname } = new URL(`http://[${address}]`)
  const [left = [], right] = hostname
    .slice(1, -1)
    .split("::")
    .map((text) => (text === "" ? [] : text.split(":")))
  const zeros = Array.from({ length: 8 - left.length - (right?.length ?? 0) }, () => "0")
  const all = right === undefined ? left : [...left, ...zeros, ...right]
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex")
}

/** Returns a certificate, signed by the issuer. */
const signed = (
  issuer: Issuer,
  subject: Buffer,
  subjectKey: KeyObject,
  { from, to }: Lifetime,
  extensions: ReadonlyArray<Buffer>
): Buffer => {
  const algorithm = sequence(identifier(ids.ecdsaWithSha256))
  const body = sequence(
    tagged(0, "constructed", integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(0x40), randomBytes(15)])),
    algorithm,
    issuer.name,
    sequence(time(utcText(from)), time(utcText(to))),
    subject,
    subjectKey.export({ type: "spki", format: "der" }),
    tagged(
      3,
      "constructed",
      sequence(
        ...extensions,
        extension(ids.subjectKey, octets(keyIdOf(subjectKey))),
        extension(ids.authorityKey, sequence(tagged(0, "primitive", issuer.keyId)))
      )
    )
  )
  return sequence(body, algorithm, bits(sign("sha256", body, issuer.key)))
}

// oxlint-disable-next-line no-restricted-globals -- it only writes a time, and loads no library
const utcText = (millis: number): string => new Date(millis).toISOString()
