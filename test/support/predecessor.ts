/**
 * Lines as the predecessor writes them into audit.log.
 */
const line = (members: string): string => `{"timestamp":"1970-01-01T00:00:00Z",${members},"success":true}\n`

export const predecessorStart = line(
  '"action":"daemon_start","details":"listening on /home/user/.agent-secrets/agent-secrets.sock"'
)
export const predecessorStop = line('"action":"daemon_stop","details":"daemon stopped gracefully"')
export const predecessorAcquire = (secret: string, id = secret): string =>
  line(
    `"action":"lease_acquire","secret_name":"${secret}","client_id":"worker","lease_id":"${id}","details":"TTL: 1h0m0s"`
  )
