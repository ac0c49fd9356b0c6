// PROXY protocol from in front: who may speak it, what is taken for a header, and whose address counts.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { Haproxy, connectUnix, hasHaproxy, tlv, v1, v2 } from './lib/proxy.mjs'
import { Wire, closeFrame, frame, plain, request } from './lib/raw.mjs'
import { Echo, Turnout, canConnect, freePort, until } from './lib/turnout.mjs'

let turnout, echo, dir, ports, ownServer

function certificate (name, names) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-keyout', `${dir}/${name}.key`, '-out', `${dir}/${name}.crt`, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`], { stdio: 'ignore' })
}

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-introduced-'))
  certificate('one', 'DNS:localhost')
  certificate('own', 'DNS:own.example.com')
  echo = await Echo.start('e')
  ports = {}
  for (const name of ['required', 'optional', 'secure', 'pass', 'raw', 'six']) ports[name] = await freePort()
  ownServer = tls.createServer({ key: readFileSync(`${dir}/own.key`), cert: readFileSync(`${dir}/own.crt`) }, socket => {
    socket.on('error', () => {}).pipe(socket)
  })
  await new Promise(resolve => ownServer.listen(0, '127.0.0.1', resolve))
  turnout = await Turnout.start(t => `trusted_proxies: [ 127.0.0.1, "::1", unix ]
timeouts: { request_head: 1s }
listeners:
  - listen: 127.0.0.1:${t.port}
  - { listen: "127.0.0.1:${ports.required}", proxy_protocol: required }
  - { listen: "127.0.0.1:${ports.optional}", proxy_protocol: optional }
  - { listen: "[::1]:${ports.six}", proxy_protocol: required }
  - { listen: "unix:${t.dir}/in.sock", proxy_protocol: required }
  - listen: 127.0.0.1:${ports.secure}
    proxy_protocol: required
    tls: { mode: terminate, certificates: [ { cert: ${dir}/one.crt, key: ${dir}/one.key } ] }
  - { listen: "127.0.0.1:${ports.pass}", proxy_protocol: required, tls: { mode: passthrough } }
  - { listen: "127.0.0.1:${ports.raw}", proxy_protocol: required, tcp: echo }
pools:
  echo: { servers: [ ${echo.address} ] }
  own: { servers: [ 127.0.0.1:${ownServer.address().port} ] }
routes:
  - { match: { host: own.example.com }, pool: own }
  - { pool: echo }
`)
})
after(async () => {
  await turnout.stop()
  await echo.stop()
  ownServer.close()
  rmSync(dir, { recursive: true })
})

// A tunnel over a wire on which the header was sent; gives its `open` event.
async function opens (wire, client) {
  wire.send(request('/'))
  assert.equal((await wire.head()).status, 101)
  wire.send(frame('hello'))
  await wire.until('hello')
  const event = await turnout.event(e => e.event === 'open' && e.client === client, `an open by ${client}`)
  wire.send(closeFrame(1000))
  await wire.closed()
  wire.end()
  assert.equal((await turnout.event(e => e.event === 'close' && e.connection === event.connection)).client, client)
  return event
}
const refusal = (reason, since) => until(() => turnout.events.slice(since).find(e => e.event === 'refused' && e.reason === reason), `refused for ${reason}`)

test('version 1 and 2 name the client, IPv4 and IPv6, over any kind of socket', async () => {
  const headers = [
    [n => v1('203.0.113.7', n, '198.51.100.1', 443), n => `203.0.113.7:${n}`],
    [n => v1('2001:db8::7', n, '2001:db8::1', 443), n => `[2001:db8::7]:${n}`],
    [n => v2({ source: '203.0.113.8', port: n, destination: '198.51.100.1', destinationPort: 443 }), n => `203.0.113.8:${n}`],
    [n => v2({ source: '2001:db8::8', port: n, destination: '2001:db8::1', destinationPort: 443, tlvs: [tlv(0xea, 'vpce-1'), tlv(4, '')] }), n => `[2001:db8::8]:${n}`]
  ]
  const ways = [
    () => Wire.connect(ports.required), () => Wire.connect(ports.optional),
    () => Wire.connect(ports.six, { host: '::1' }), () => connectUnix(`${turnout.dir}/in.sock`)
  ]
  let port = 10000
  for (const way of ways) {
    for (const [header, client] of headers) {
      const wire = await way()
      wire.send(header(++port))
      const event = await opens(wire, client(port))
      assert.match(event.through, /^(127\.0\.0\.1:\d+|\[::1\]:\d+|unix)$/)
    }
  }
})

test('a header may come byte by byte, and what follows in the same packet is not lost', async () => {
  for (const header of [v1('203.0.113.9', 1, '198.51.100.1', 443), v2({ source: '203.0.113.9', port: 1, destination: '198.51.100.1' })]) {
    for (const way of [() => Wire.connect(ports.required), () => connectUnix(`${turnout.dir}/in.sock`)]) {
      const slow = await way()
      for (const byte of Buffer.from(header)) {
        await new Promise(resolve => slow.socket.write(Buffer.from([byte]), resolve))
        await new Promise(resolve => setImmediate(resolve))
      }
      await opens(slow, '203.0.113.9:1')
      const glued = await way()
      glued.send(Buffer.concat([Buffer.from(header), Buffer.from(request('/')), frame('early')]))
      assert.equal((await glued.head()).status, 101)
      await glued.until('early')
      glued.close()
    }
  }
})

test('LOCAL, UNKNOWN and UNSPEC leave the peer as it is', async () => {
  for (const header of ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', v2({ command: 0 }), v2(), v2({ command: 0, family: 0x99, tlvs: [Buffer.from('rubbish')] })]) {
    const wire = await Wire.connect(ports.required)
    wire.send(header)
    await opens(wire, `127.0.0.1:${wire.localPort}`)
  }
})

test('the header comes before TLS, whoever ends it, and before raw bytes', async () => {
  for (const [name, servername] of [['secure', 'localhost'], ['pass', 'own.example.com']]) {
    const front = await Wire.connect(ports[name])
    front.send(v2({ source: '203.0.113.10', port: 7, destination: '198.51.100.1', destinationPort: 443 }))
    front.socket.removeAllListeners('data')
    const socket = tls.connect({ socket: front.socket, servername, rejectUnauthorized: false })
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
    assert.equal(socket.getPeerCertificate().subject.CN, name === 'secure' ? 'one' : 'own')
    const wire = new Wire(socket)
    if (name === 'secure') {
      await opens(wire, '203.0.113.10:7')
    } else {
      wire.send('end to end')
      await wire.until('end to end')
      await turnout.event(e => e.event === 'open' && e.pool === 'own' && e.client === '203.0.113.10:7')
      wire.close()
    }
  }
  const raw = await Wire.connect(ports.raw)
  raw.send(v1('203.0.113.11', 8, '198.51.100.1', 443))
  await opens(raw, '203.0.113.11:8')
})

test('what is no good header closes the connection, and says why', async () => {
  const rows = [
    ['PROXY_MISSING', request('/')],
    ['PROXY_MISSING', '\x16\x03\x01\x02\x00'],
    ['PROXY_MALFORMED', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n'],
    ['PROXY_MALFORMED', 'PROXY UNKNOWN ' + 'x'.repeat(93)],
    ['PROXY_MALFORMED', v2({ source: '1.2.3.4', destination: '5.6.7.8', tlvs: [tlv(3, '\0\0\0\0')] })],
    ['PROXY_MALFORMED', v2({ tlvs: [Buffer.alloc(5000)] })],
    ['PROXY_MALFORMED', v2({ family: 0x12, source: '1.2.3.4', destination: '5.6.7.8' })]
  ]
  for (const port of [ports.required, ports.secure, ports.pass, ports.raw]) {
    for (const [reason, bytes] of rows) {
      const since = turnout.events.length
      const wire = await Wire.connect(port)
      wire.send(bytes)
      await wire.closed()
      assert.equal(wire.got.length, 0)
      assert.equal((await refusal(reason, since)).client, `127.0.0.1:${wire.localPort}`)
    }
  }
})

test('a header that ends in the middle is malformed, one that does not come in time is late', async () => {
  let since = turnout.events.length
  const cut = await Wire.connect(ports.required)
  cut.send('PROXY TCP4 1.2.3.4').end()
  await cut.closed()
  await refusal('PROXY_MALFORMED', since)

  since = turnout.events.length
  const began = Date.now()
  const late = await Wire.connect(ports.required)
  const trickle = setInterval(() => late.send('x'), 100)
  late.send('PROXY UNKNOWN ')
  await late.closed()
  clearInterval(trickle)
  assert.ok(Date.now() - began < 3000)
  await refusal('PROXY_TOO_SLOW', since)

  since = turnout.events.length
  const silent = await Wire.connect(ports.required)
  await silent.closed()
  await refusal('PROXY_TOO_SLOW', since)
})

test('who connects and leaves, as health checks do, is no line in the log', async () => {
  const since = turnout.events.length
  const before = turnout.counters().refused_ever
  for (const first of ['', v2({ command: 0 })]) {
    const wire = await Wire.connect(ports.required)
    wire.send(first).end()
    await wire.closed()
  }
  assert.equal(turnout.counters().refused_ever, before)
  assert.equal(turnout.events.slice(since).find(e => e.event === 'refused'), undefined)
})

test('only trusted proxies are heard: others are sent away where a header is required, and are themselves where it is optional', async () => {
  const since = turnout.events.length
  const stranger = await Wire.connect(ports.required, { localAddress: '127.0.0.2' })
  stranger.send(v1('203.0.113.12', 1, '198.51.100.1', 443) + request('/'))
  await stranger.closed()
  assert.equal((await refusal('PROXY_UNTRUSTED', since)).client, `127.0.0.2:${stranger.localPort}`)

  const liar = await Wire.connect(ports.optional, { localAddress: '127.0.0.2' })
  liar.send(v1('203.0.113.13', 1, '198.51.100.1', 443) + request('/'))
  assert.equal((await liar.head()).status, 400)
  const honest = await Wire.connect(ports.optional, { localAddress: '127.0.0.2' })
  await opens(honest, `127.0.0.2:${honest.localPort}`)
  assert.equal(turnout.events.some(e => e.client === '203.0.113.12:1' || e.client === '203.0.113.13:1'), false)
})

test('without a header, an optional listener serves a trusted peer, too; elsewhere a header is no request', async () => {
  const wire = await Wire.connect(ports.optional)
  await opens(wire, `127.0.0.1:${wire.localPort}`)
  const post = await Wire.connect(ports.optional)
  post.send(plain('/', 'Content-Length: 0\r\nConnection: close\r\n', 'POST'))
  assert.equal((await post.head()).status, 200)
  const no = await Wire.connect(turnout.port)
  no.send(v1('203.0.113.14', 1, '198.51.100.1', 443) + request('/'))
  assert.equal((await no.head()).status, 400)
})

test('counted by reason, and seen in /connections', async () => {
  const ended = {}
  const flows = await new Promise((resolve, reject) => {
    http.get({ socketPath: `${turnout.dir}/admin.sock`, path: '/api/v1/flows' }, answer => {
      let text = ''
      answer.on('data', data => { text += data }).on('end', () => resolve(JSON.parse(text).flows))
    }).on('error', reject)
  })
  for (const flow of flows) for (const [reason, count] of Object.entries(flow.ended)) ended[reason] = (ended[reason] ?? 0) + count
  for (const reason of ['PROXY_MISSING', 'PROXY_MALFORMED', 'PROXY_TOO_SLOW', 'PROXY_UNTRUSTED']) assert.ok(ended[reason] > 0, reason)
  const wire = await Wire.connect(ports.required)
  wire.send(v1('203.0.113.15', 77, '198.51.100.1', 443) + request('/'))
  await wire.head()
  const seen = turnout.json('connections').connections.find(c => c.client === '203.0.113.15:77')
  assert.equal(seen.through, `127.0.0.1:${wire.localPort}`)
  wire.close()
})

test('access and limits go by the address that the header names, at layer 7 and in passing', async () => {
  const [plainPort, passPort] = [await freePort(), await freePort()]
  const t = await Turnout.start(() => `trusted_proxies: [ 127.0.0.1 ]
listeners:
  - { listen: "127.0.0.1:${plainPort}", proxy_protocol: required }
  - { listen: "127.0.0.1:${passPort}", proxy_protocol: required, tls: { mode: passthrough } }
pools: { echo: { servers: [ ${echo.address} ] }, own: { servers: [ 127.0.0.1:${ownServer.address().port} ] } }
routes:
  - { match: { host: own.example.com }, pool: own, access: { deny: [ 203.0.113.66 ] } }
  - { pool: echo, access: { deny: [ "203.0.113.66" ] }, rate: { connections: 1 } }
`)
  const ask = async source => {
    const wire = await Wire.connect(plainPort)
    wire.send(v1(source, 1, '198.51.100.1', 443) + request('/'))
    return { wire, status: (await wire.head()).status }
  }
  assert.equal((await ask('203.0.113.66')).status, 403)
  const first = await ask('203.0.113.1')
  assert.equal(first.status, 101)
  assert.equal((await ask('203.0.113.1')).status, 429)
  assert.equal((await ask('203.0.113.2')).status, 101)
  first.wire.close()

  const shakes = async source => {
    const front = await Wire.connect(passPort)
    front.send(v1(source, 1, '198.51.100.1', 443))
    front.socket.removeAllListeners('data')
    const socket = tls.connect({ socket: front.socket, servername: 'own.example.com', rejectUnauthorized: false })
    const done = await new Promise(resolve => socket.once('secureConnect', () => resolve(true)).once('error', () => resolve(false)).once('close', () => resolve(false)))
    front.close()
    return done
  }
  assert.equal(await shakes('203.0.113.1'), true)
  assert.equal(await shakes('203.0.113.66'), false)
  await t.event(e => e.event === 'refused' && e.pool !== 'echo' && e.client === '203.0.113.66:1' && e.listener === `127.0.0.1:${passPort}`)
  await t.stop()
})

for (const version of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl', 'send-proxy-v2 proxy-v2-options crc32c,unique-id,authority']) {
  test(`HAProxy in front of us with ${version}`, { skip: !hasHaproxy }, async () => {
    const [front, frontSix] = [await freePort(), await freePort()]
    const haproxy = await Haproxy.start(`listen four
  bind 127.0.0.1:${front}
  ${/unique-id/.test(version) ? 'unique-id-format "%{+X}o %ci:%cp"' : ''}
  server turnout 127.0.0.1:${ports.required} ${version}
listen six
  bind [::1]:${frontSix}
  server turnout unix@${turnout.dir}/in.sock ${version}`, () => canConnect(front))
    const four = await Wire.connect(front)
    await opens(four, `127.0.0.1:${four.localPort}`)
    const six = await Wire.connect(frontSix, { host: '::1' })
    await opens(six, `[::1]:${six.localPort}`)
    await haproxy.stop()
  })
}
