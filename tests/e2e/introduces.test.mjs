// PROXY protocol to servers: what they are told, before anything else, whatever the listener.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { Haproxy, Told, connectUnix, hasHaproxy, tlv, v1, v2 } from './lib/proxy.mjs'
import { Backend, Wire, answer, frame, plain, request, switching } from './lib/raw.mjs'
import { Turnout, canConnect, freePort } from './lib/turnout.mjs'

let turnout, dir, ports, servers

// Serves HTTP and WebSocket after the header, and echoes what is neither.
async function serve (wire) {
  for (;;) {
    await wire.wait(() => wire.got.length || wire.ended, 'something', 60000)
    if (!wire.got.length) { wire.end(); return }
    if (!/^[GP]/.test(wire.text)) break
    const head = await wire.head()
    if (!head.fields.upgrade) { wire.send(answer(200, 'told')); continue }
    wire.send(switching(head.fields['sec-websocket-key']))
    break
  }
  for (;;) {
    if (wire.got.length) { wire.send(wire.got); wire.got = Buffer.alloc(0) }
    if (wire.ended) { wire.end(); return }
    await wire.wait(() => wire.got.length || wire.ended, 'more', 60000)
  }
}

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-introduces-'))
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-keyout', `${dir}/one.key`, '-out', `${dir}/one.crt`, '-subj', '/CN=one', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' })
  servers = { v1: await Told.start(serve), v2: await Told.start(serve), crc: await Told.start(serve), six: await Told.start(serve, { host: '::1' }) }
  ports = {}
  for (const name of ['six', 'secure', 'pass', 'raw', 'rawSecure', 'chained']) ports[name] = await freePort()
  const certificates = `tls: { mode: terminate, certificates: [ { cert: ${dir}/one.crt, key: ${dir}/one.key } ] }`
  turnout = await Turnout.start(t => `trusted_proxies: [ 127.0.0.1 ]
timeouts: { connect: 1s }
listeners:
  - listen: 127.0.0.1:${t.port}
  - listen: "[::1]:${ports.six}"
  - listen: "unix:${t.dir}/in.sock"
  - { listen: "127.0.0.1:${ports.secure}", ${certificates} }
  - { listen: "127.0.0.1:${ports.pass}", tls: { mode: passthrough } }
  - { listen: "127.0.0.1:${ports.raw}", tcp: v2 }
  - { listen: "127.0.0.1:${ports.rawSecure}", tcp: v2, ${certificates} }
  - { listen: "127.0.0.1:${ports.chained}", proxy_protocol: required }
pools:
  v1: { servers: [ ${servers.v1.address} ], proxy_protocol: v1 }
  v2: { servers: [ ${servers.v2.address} ], proxy_protocol: v2 }
  crc: { servers: [ ${servers.crc.address} ], proxy_protocol: v2_crc32c }
  six: { servers: [ "${servers.six.address}" ], proxy_protocol: v2 }
routes:
  - { match: { prefix: /v1 }, pool: v1 }
  - { match: { prefix: /crc }, pool: crc }
  - { match: { prefix: /six }, pool: six }
  - { pool: v2 }
`)
})
after(async () => {
  await turnout.stop()
  for (const server of Object.values(servers)) await server.stop()
  rmSync(dir, { recursive: true })
})

// Opens a tunnel over the wire; gives the header that the server got for it.
async function told (server, wire, target, more = {}) {
  const count = server.headers.length
  wire.send(request(target, more))
  assert.equal((await wire.head()).status, 101)
  wire.send(frame('hello'))
  await wire.until(frame('hello'))
  wire.got = Buffer.alloc(0)
  return server.header(count + 1)
}

test('both versions name the client and where it had connected to, IPv4 and IPv6 on either side', async () => {
  for (const [name, target, version] of [['v1', '/v1', 1], ['v2', '/', 2], ['crc', '/crc', 2], ['six', '/six', 2]]) {
    for (const [host, port] of [['127.0.0.1', turnout.port], ['::1', ports.six]]) {
      const wire = await Wire.connect(port, { host })
      const header = await told(servers[name], wire, target)
      assert.equal(header.version, version)
      assert.deepEqual([header.source, header.port, header.destination, header.destinationPort], [host, wire.localPort, host, port])
      if (version === 2) {
        const event = await turnout.event(e => e.event === 'open' && e.client === (host === '::1' ? `[::1]:${wire.localPort}` : `${host}:${wire.localPort}`))
        assert.equal(header.tlvs[5].toString(), event.request_id)
        assert.equal(header.checksumIsRight, name === 'crc' ? true : undefined)
        assert.equal(header.tlvs[0x20], undefined)
      }
      wire.close()
    }
  }
})

test('a client without an address is unknown', async () => {
  const one = await connectUnix(`${turnout.dir}/in.sock`)
  assert.equal((await told(servers.v1, one, '/v1')).protocol, 'UNKNOWN')
  const two = await connectUnix(`${turnout.dir}/in.sock`)
  const header = await told(servers.v2, two, '/')
  assert.deepEqual([header.command, header.family], [0x21, 0x00])
  one.close()
  two.close()
})

test('where TLS ended here the server is told so, and what was agreed on', async () => {
  for (const [version, cipher] of [['TLSv1.3', 'TLS_AES_128_GCM_SHA256'], ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256']]) {
    const wire = await Wire.connectTls(ports.secure, { servername: 'localhost', ALPNProtocols: ['http/1.1'], maxVersion: version })
    const { tlvs, source } = await told(servers.v2, wire, '/')
    assert.equal(source, '127.0.0.1')
    assert.equal(tlvs[1].toString(), 'http/1.1')
    assert.equal(tlvs[2].toString(), 'localhost')
    assert.deepEqual([...tlvs[0x20].subarray(0, 5)], [1, 0, 0, 0, 1]) // TLS, and no certificate verified
    assert.ok(tlvs[0x20].includes(tlv(0x21, version)))
    assert.ok(tlvs[0x20].includes(tlv(0x23, cipher)))
    wire.close()
  }
})

test('passthrough: the header comes before the ClientHello, with the name asked for', async () => {
  const count = servers.v2.headers.length
  const wire = await Wire.connect(ports.pass)
  const ours = wire.localPort
  wire.socket.removeAllListeners('data')
  tls.connect({ socket: wire.socket, servername: 'own.example.com', rejectUnauthorized: false }).on('error', () => {})
  const header = await servers.v2.header(count + 1)
  assert.equal(header.tlvs[2].toString(), 'own.example.com')
  assert.equal(header.tlvs[0x20], undefined)
  assert.equal(header.port, ours)
  const server = servers.v2.wires.at(-1)
  await server.wait(() => server.got[0] === 22 || server.socket.bytesRead > header.used, 'a ClientHello')
  wire.close()
})

test('tcp: the header comes before raw bytes, TLS ended or not', async () => {
  const raw = await Wire.connect(ports.raw)
  raw.send('{raw}')
  await raw.until('{raw}')
  assert.equal(servers.v2.headers.at(-1).port, raw.localPort)
  const secure = await Wire.connectTls(ports.rawSecure, { servername: 'localhost' })
  secure.send('{under TLS}')
  await secure.until('{under TLS}')
  const header = servers.v2.headers.at(-1)
  assert.equal(header.port, secure.localPort)
  assert.ok(header.tlvs[0x20].includes('TLSv1.3'))
  raw.close()
  secure.close()
})

test('what a proxy in front has said is passed on', async () => {
  const ssl = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), tlv(0x21, 'TLSv1.3')])
  const wire = await Wire.connect(ports.chained)
  wire.send(v2({
    source: '2001:db8::5',
    port: 4711,
    destination: '2001:db8::1',
    destinationPort: 443,
    tlvs: [tlv(1, 'http/1.1'), tlv(2, 'chat.example.com'), tlv(5, 'theirs'), tlv(0x20, ssl), tlv(0xea, 'own')]
  }))
  const header = await told(servers.crc, wire, '/crc')
  assert.deepEqual([header.source, header.port, header.destination, header.destinationPort], ['2001:db8::5', 4711, '2001:db8::1', 443])
  assert.deepEqual([1, 2, 5].map(type => header.tlvs[type].toString()), ['http/1.1', 'chat.example.com', 'theirs'])
  assert.ok(header.tlvs[0x20].equals(ssl))
  assert.equal(header.tlvs[0xea], undefined)
  wire.close()

  const four = await Wire.connect(ports.chained)
  four.send(v1('203.0.113.5', 4712, '198.51.100.1', 8443))
  const line = await told(servers.v1, four, '/v1')
  assert.deepEqual([line.protocol, line.source, line.port, line.destination, line.destinationPort], ['TCP4', '203.0.113.5', 4712, '198.51.100.1', 8443])
  four.close()
})

test('the address that PROXY gave is that of X-Forwarded-For and -Port, its TLS that of -Proto', async () => {
  const backend = await Backend.start(async wire => { wire.send(answer(200, 'x')) })
  const port = await freePort()
  const t = await Turnout.start(t => `trusted_proxies: [ 127.0.0.1 ]
listeners: [ { listen: "127.0.0.1:${port}", proxy_protocol: required } ]
pools: { main: { servers: [ ${backend.address} ] } }
`)
  const wire = await Wire.connect(port)
  wire.send(Buffer.concat([v2({ source: '203.0.113.6', port: 1, destination: '198.51.100.1', destinationPort: 8443, tlvs: [tlv(0x20, Buffer.from([1, 0, 0, 0, 0]))] }),
    Buffer.from(plain('/', 'X-Forwarded-For: 10.9.9.9\r\n'))]))
  assert.equal((await wire.head()).status, 200)
  const { fields } = backend.requests[0]
  assert.equal(fields['x-forwarded-for'], '203.0.113.6')
  assert.equal(fields['x-forwarded-port'], '8443')
  assert.equal(fields['x-forwarded-proto'], 'https')
  wire.close()
  await t.stop()
  await backend.stop()
})

test('a connection that was told of one client serves that one alone, and goes with him', async () => {
  const count = servers.v2.headers.length
  const clients = []
  for (let i = 0; i < 3; i++) {
    const wire = await Wire.connect(turnout.port)
    for (let k = 0; k < 3; k++) {
      wire.send(plain('/'))
      const head = await wire.head()
      assert.equal(head.status, 200)
      await wire.take(4)
    }
    clients.push(wire)
  }
  const headers = servers.v2.headers.slice(count)
  assert.deepEqual(headers.map(h => h.port), clients.map(c => c.localPort))
  const wires = servers.v2.wires.slice(-3)
  clients[1].close()
  await wires[1].closed()
  clients[0].send(plain('/'))
  assert.equal((await clients[0].head()).status, 200)
  assert.equal(wires[0].ended, null)
  assert.equal(servers.v2.headers.length, count + 3)
  for (const wire of clients) wire.close()
})

test('a server that comes to want PROXY by a reload gets no connection that had rested without', async () => {
  const seen = []
  const backend = await Backend.start(async (wire, head) => { seen.push(head.head.split(' ')[0]); wire.send(answer(200, 'plain')) })
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ ${backend.address} ]} }
`)
  const ask = async () => {
    const wire = await Wire.connect(t.port)
    wire.send(plain('/', 'Connection: close\r\n'))
    await wire.head()
    wire.close()
  }
  await ask()
  t.write(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ ${backend.address} ], proxy_protocol: v1 } }
`)
  assert.equal(t.command('reload').code, 0)
  await ask()
  assert.deepEqual(seen, ['GET', 'PROXY'])
  await t.stop()
  await backend.stop()
})

test('the next server is told as well when the first cannot be reached', async () => {
  const gone = await freePort()
  const backend = await Told.start(serve)
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ 127.0.0.1:${gone}, ${backend.address} ], proxy_protocol: v2 } }
`)
  for (let i = 0; i < 4; i++) {
    const wire = await Wire.connect(t.port)
    wire.send(request('/'))
    assert.equal((await wire.head()).status, 101)
    assert.equal((await backend.header(i + 1)).port, wire.localPort)
    wire.close()
  }
  await t.stop()
  await backend.stop()
})

test('and when the first hangs up after it was told', async () => {
  const rude = await Told.start(async wire => { wire.close() })
  const backend = await Told.start(serve)
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${rude.address}, ${backend.address} ], proxy_protocol: v2 } }
`)
  for (let i = 0; i < 4; i++) {
    const wire = await Wire.connect(t.port)
    wire.send(plain('/', 'Connection: close\r\n'))
    assert.equal((await wire.head()).status, 200)
    assert.equal((await backend.header(i + 1)).port, wire.localPort)
    wire.close()
  }
  assert.ok(rude.headers.length > 0)
  await t.stop()
  await rude.stop()
  await backend.stop()
})

for (const version of ['v1', 'v2', 'v2_crc32c']) {
  test(`HAProxy behind us, with accept-proxy, told by ${version}`, { skip: !hasHaproxy }, async () => {
    const backend = await Backend.start(async (wire, head) => { wire.send(answer(200, head.head)) })
    const [four, six] = [await freePort(), await freePort()]
    const haproxy = await Haproxy.start(`frontend in
  mode http
  bind 127.0.0.1:${four} accept-proxy
  bind [::1]:${six} accept-proxy
  http-request set-header X-Seen %[src]:%[src_port]-%[dst]:%[dst_port]
  http-request set-header X-Unique %[fc_pp_unique_id]
  http-request set-header X-Authority %[fc_pp_authority]
  default_backend out
backend out
  mode http
  server one ${backend.address}`, () => canConnect(four))
    const [port6, secure] = [await freePort(), await freePort()]
    const t = await Turnout.start(t => `listeners:
  - listen: 127.0.0.1:${t.port}
  - listen: "[::1]:${port6}"
  - { listen: "127.0.0.1:${secure}", tls: { mode: terminate, certificates: [ { cert: ${dir}/one.crt, key: ${dir}/one.key } ] } }
pools: { main: { balance: round_robin, servers: [ "127.0.0.1:${four}", "[::1]:${six}" ], proxy_protocol: ${version} } }
`)
    for (let i = 0; i < 2; i++) {
      for (const [host, port] of [['127.0.0.1', t.port], ['::1', port6]]) {
        const wire = await Wire.connect(port, { host })
        wire.send(plain('/', 'Connection: close\r\n'))
        assert.equal((await wire.head()).status, 200)
        assert.equal(backend.requests.at(-1).fields['x-seen'], `${host}:${wire.localPort}-${host}:${port}`)
        if (version !== 'v1') assert.match(backend.requests.at(-1).fields['x-unique'], /^[0-9a-f]{16}$/)
        wire.close()
      }
    }
    const wire = await Wire.connectTls(secure, { servername: 'localhost' })
    wire.send(plain('/', 'Connection: close\r\n'))
    assert.equal((await wire.head()).status, 200)
    if (version !== 'v1') assert.equal(backend.requests.at(-1).fields['x-authority'], 'localhost')
    wire.close()
    await t.stop()
    await haproxy.stop()
    await backend.stop()
  })
}
