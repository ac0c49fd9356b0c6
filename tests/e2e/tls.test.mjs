// TLS at the door: several certificates, resumption over a reload, and passthrough by server name.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import WebSocket from 'ws'
import { Wire, frame, plain, request, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, freePort, until } from './lib/turnout.mjs'

let turnout, echo, dir, securePort, passPort, ownServer

function certificate (name, names) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-keyout', `${dir}/${name}.key`, '-out', `${dir}/${name}.crt`, '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`], { stdio: 'ignore' })
}

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-tls-'))
  certificate('one', 'DNS:one.example.com,DNS:localhost')
  certificate('two', 'DNS:*.two.example.com')
  certificate('own', 'DNS:own.example.com')
  echo = await Echo.start('e')
  securePort = await freePort()
  passPort = await freePort()
  ownServer = tls.createServer({ key: readFileSync(`${dir}/own.key`), cert: readFileSync(`${dir}/own.crt`) }, socket => {
    socket.on('error', () => {}).pipe(socket)
  })
  await new Promise(resolve => ownServer.listen(0, '127.0.0.1', resolve))
  turnout = await Turnout.start(t => `listeners:
  - listen: 127.0.0.1:${t.port}
  - listen: 127.0.0.1:${securePort}
    tls: { mode: terminate, certificates: [ { cert: ${dir}/one.crt, key: ${dir}/one.key }, { cert: ${dir}/two.crt, key: ${dir}/two.key } ] }
  - { listen: 127.0.0.1:${passPort}, tls: { mode: passthrough } }
pools:
  echo: { servers: [ ${echo.address} ] }
  own: { servers: [ 127.0.0.1:${ownServer.address().port} ] }
routes:
  - { match: { host: own.example.com }, pool: own }
  - { match: { host: "*.nowhere.example.com" }, pool: echo }
  - { match: { host: one.example.com }, pool: echo }
  - { match: { host: localhost }, pool: echo }
  - { match: { host: x }, pool: echo }
`)
})
after(async () => {
  await turnout.stop()
  await echo.stop()
  ownServer.close()
  rmSync(dir, { recursive: true })
})

const peerName = options => new Promise((resolve, reject) => {
  const socket = tls.connect({ port: securePort, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
    resolve({ name: socket.getPeerCertificate().subject.CN, protocol: socket.getProtocol(), alpn: socket.alpnProtocol })
    socket.destroy()
  }).on('error', reject)
})

test('the certificate is chosen by server name, the first serves everyone else', async () => {
  assert.equal((await peerName({ servername: 'one.example.com' })).name, 'one')
  assert.equal((await peerName({ servername: 'a.two.example.com' })).name, 'two')
  assert.equal((await peerName({ servername: 'a.b.two.example.com' })).name, 'one')
  assert.equal((await peerName({ servername: 'unknown.example.com' })).name, 'one')
  assert.equal((await peerName({})).name, 'one')
})
test('TLS 1.2 and 1.3 are spoken, older ones are not; http/1.1 is the protocol', async () => {
  assert.equal((await peerName({ maxVersion: 'TLSv1.2', servername: 'localhost' })).protocol, 'TLSv1.2')
  assert.equal((await peerName({ minVersion: 'TLSv1.3', servername: 'localhost' })).protocol, 'TLSv1.3')
  await assert.rejects(peerName({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', servername: 'localhost' }))
  assert.equal((await peerName({ ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'http/1.1')
})
for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
  test(`wss by a real client, ${maxVersion}: text, and 4 MiB each way`, async () => {
    const ws = new WebSocket(`wss://localhost:${securePort}/`, { ca: readFileSync(`${dir}/one.crt`), maxVersion, perMessageDeflate: false })
    await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject))
    const ask = data => new Promise(resolve => { ws.once('message', resolve); ws.send(data) })
    assert.equal((await ask('hello')).toString(), 'hello')
    const big = Buffer.alloc(4 << 20, 'turnout')
    assert.ok(big.equals(await ask(big)))
    ws.close(1000)
    await new Promise(resolve => ws.on('close', resolve))
  })
}
test('a session resumes, before and after a reload', () => {
  const session = `${dir}/session`
  const connect = (...more) => spawnSync('openssl', ['s_client', '-connect', `127.0.0.1:${securePort}`, '-servername', 'one.example.com', ...more],
    { input: plain('/healthz', 'Connection: close\r\n').replace('Host: x', 'Host: one.example.com'), encoding: 'utf8', timeout: 10000 })
  for (const version of ['-tls1_3', '-tls1_2']) {
    assert.match(connect(version, '-ign_eof', '-sess_out', session).stdout, /New, TLS/)
    assert.match(connect(version, '-ign_eof', '-sess_in', session).stdout, /Reused, TLS/)
    assert.equal(turnout.command('reload').code, 0)
    assert.match(connect(version, '-ign_eof', '-sess_in', session).stdout, /Reused, TLS/)
  }
})
test('a certificate that was renewed serves after a reload, and old tunnels live on', async () => {
  const ws = await tunnel(securePort, '/', { tls: { servername: 'localhost' }, host: 'localhost' })
  certificate('two', 'DNS:*.two.example.com,DNS:new.example.com')
  assert.equal(turnout.command('reload').code, 0)
  assert.equal((await peerName({ servername: 'new.example.com' })).name, 'two')
  ws.send(frame('still here'))
  await ws.until('still here')
  ws.close()
})
test('passthrough: the server\'s own certificate, its own session', async () => {
  const wire = await Wire.connectTls(passPort, { servername: 'own.example.com' })
  assert.equal(wire.socket.getPeerCertificate().subject.CN, 'own')
  wire.send('end to end')
  await wire.until('end to end')
  const c = await until(() => turnout.json('connections').connections.find(c => c.pool === 'own'))
  assert.equal(c.flow, 'passthrough')
  wire.close()
})
test('passthrough: a ClientHello that comes byte by byte', async () => {
  const front = await Wire.connect(passPort)
  const { Duplex } = await import('node:stream')
  const slow = new Duplex({
    read () {},
    write (chunk, _, done) { for (const byte of chunk) front.send(Buffer.from([byte])); done() }
  })
  front.socket.on('data', data => slow.push(data))
  const socket = tls.connect({ socket: slow, servername: 'own.example.com', rejectUnauthorized: false })
  await new Promise((resolve, reject) => socket.on('secureConnect', resolve).on('error', reject))
  assert.equal(socket.getPeerCertificate().subject.CN, 'own')
  socket.destroy()
  front.close()
})
test('passthrough: no route for the name, and no TLS at all, are refused and logged', async () => {
  await assert.rejects(Wire.connectTls(passPort, { servername: 'nobody.example.org' }))
  assert.equal((await turnout.event(e => e.event === 'refused' && e.reason === 'NO_ROUTE')).host, 'nobody.example.org')
  const wire = await Wire.connect(passPort)
  wire.send('GET / HTTP/1.1\r\n\r\n')
  await wire.closed()
  await turnout.event(e => e.event === 'refused' && e.reason === 'HELLO_MALFORMED')
})
test('plain HTTP on a TLS port fails alone', async () => {
  const wire = await Wire.connect(securePort)
  wire.send(request('/'))
  await wire.closed()
  await turnout.event(e => e.event === 'refused' && e.reason === 'TLS_FAILED')
  ;(await tunnel(securePort, '/', { tls: { servername: 'localhost' }, host: 'localhost' })).close()
})
