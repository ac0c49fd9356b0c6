// Raw TCP: whatever it is, to the pool that the listener names.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { connectUnix } from './lib/proxy.mjs'
import { Wire, plain } from './lib/raw.mjs'
import { Turnout, binary, freePort, until } from './lib/turnout.mjs'

let turnout, dir, ports, servers

// Speaks first, then echoes; half-closed, it says goodbye.
async function greeter (name, host = '127.0.0.1') {
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    const s = server
    s.sockets.add(socket)
    socket.on('close', () => s.sockets.delete(socket)).on('error', () => {})
    socket.write(`220 ${name}\r\n`)
    socket.on('data', data => { if (!socket.write(data)) { socket.pause(); socket.once('drain', () => socket.resume()) } })
    socket.on('end', () => socket.end('221 bye\r\n'))
  })
  server.sockets = new Set()
  await new Promise(resolve => server.listen(0, host, resolve))
  server.at = `${host.includes(':') ? `"[${host}]:${server.address().port}"` : `${host}:${server.address().port}`}`
  return server
}

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-tcp-'))
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
    '-keyout', `${dir}/one.key`, '-out', `${dir}/one.crt`, '-subj', '/CN=one', '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'ignore' })
  servers = [await greeter('one'), await greeter('two'), await greeter('six', '::1')]
  ports = {}
  for (const name of ['six', 'secure', 'few', 'nobody', 'idle', 'gone']) ports[name] = await freePort()
  turnout = await Turnout.start(t => `timeouts: { queue: 300ms, connect: 1s }
listeners:
  - { listen: "127.0.0.1:${t.port}", tcp: two }
  - { listen: "[::1]:${ports.six}", tcp: six }
  - { listen: "unix:${t.dir}/in.sock", tcp: two }
  - { listen: "127.0.0.1:${ports.secure}", tcp: two, tls: { mode: terminate, certificates: [ { cert: ${dir}/one.crt, key: ${dir}/one.key } ] } }
  - { listen: "127.0.0.1:${ports.few}", tcp: few }
  - { listen: "127.0.0.1:${ports.nobody}", tcp: nobody }
pools:
  two: { balance: round_robin, servers: [ ${servers[0].at}, ${servers[1].at} ] }
  six: { servers: [ ${servers[2].at} ] }
  few: { servers: [ { address: ${servers[0].at}, max_connections: 1 } ] }
  nobody: { servers: [ 127.0.0.1:${ports.gone} ] }
`)
})
after(async () => {
  await turnout.stop()
  for (const server of servers) {
    for (const socket of server.sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  }
  rmSync(dir, { recursive: true })
})

test('the server may speak first, over IPv4, IPv6, a Unix socket, and under TLS that ends here', async () => {
  const ways = [
    () => Wire.connect(turnout.port), () => Wire.connect(ports.six, { host: '::1' }),
    () => connectUnix(`${turnout.dir}/in.sock`), () => Wire.connectTls(ports.secure, { servername: 'localhost' })
  ]
  for (const way of ways) {
    const wire = await way()
    await wire.until(/220/.test(wire.text) ? '220' : '220 ')
    wire.send('EHLO\r\n')
    await wire.until('EHLO\r\n')
    wire.end()
    await wire.closed()
    assert.match(wire.text, /^220 (one|two|six)\r\nEHLO\r\n221 bye\r\n$/)
  }
})

test('half a connection may be closed, either way', async () => {
  const wire = await Wire.connect(turnout.port)
  await wire.until('220')
  wire.send('last words').end()
  await wire.closed()
  assert.ok(wire.text.endsWith('last words221 bye\r\n'))
  assert.equal(wire.ended, 'FIN')
})

test('a reset is passed on as one', async () => {
  const wire = await Wire.connect(turnout.port)
  await wire.until('220')
  const [socket] = servers.map(s => [...s.sockets].find(s => s.remotePort)).filter(Boolean)
  for (const server of servers) for (const s of server.sockets) s.resetAndDestroy()
  assert.ok(socket)
  assert.equal(await wire.closed(), 'RST')
})

test('16 MiB of anything, both ways at once', async () => {
  for (const way of [() => Wire.connect(turnout.port), () => Wire.connectTls(ports.secure, { servername: 'localhost' })]) {
    const wire = await way()
    const data = randomBytes(16 << 20)
    await wire.until('220')
    await wire.until('\r\n')
    const greeting = wire.got.indexOf('\r\n') + 2
    const hash = createHash('sha256')
    let seen = -greeting
    wire.socket.removeAllListeners('data')
    hash.update(wire.got.subarray(greeting))
    seen = wire.got.length - greeting
    const whole = new Promise(resolve => wire.socket.on('data', more => {
      hash.update(more)
      seen += more.length
      if (seen >= data.length) resolve()
    }))
    wire.socket.resume()
    wire.send(data)
    await whole
    assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'))
    wire.close()
  }
})

test('balanced, logged, counted and listed like any other', async () => {
  const names = new Set()
  for (let i = 0; i < 4; i++) {
    const wire = await Wire.connect(turnout.port)
    await wire.until('\r\n')
    names.add(/220 (\w+)/.exec(wire.text)[1])
    const c = turnout.json('connections').connections.find(c => c.client === `127.0.0.1:${wire.localPort}`)
    assert.deepEqual([c.flow, c.state, c.pool, c.route], ['passthrough', 'relay', 'two', undefined])
    wire.send('x'.repeat(100)).end()
    await wire.closed()
    const open = await turnout.event(e => e.event === 'open' && e.client === `127.0.0.1:${wire.localPort}`)
    const close = await turnout.event(e => e.event === 'close' && e.connection === open.connection)
    assert.equal(open.status, undefined)
    assert.equal(open.listener, `127.0.0.1:${turnout.port}`)
    assert.deepEqual([close.reason, close.to_server_bytes, close.to_client_bytes], ['DONE', 100, 118])
  }
  assert.deepEqual([...names].sort(), ['one', 'two'])
})

test('a full server keeps the next one waiting, and then sends it away', async () => {
  const first = await Wire.connect(ports.few)
  await first.until('220')
  const second = await Wire.connect(ports.few)
  await second.closed()
  assert.equal(second.got.length, 0)
  await turnout.event(e => e.event === 'refused' && e.reason === 'QUEUE_TOO_SLOW' && e.client === `127.0.0.1:${second.localPort}`)
  const third = await Wire.connect(ports.few)
  await until(() => turnout.server(servers[0].at).waiting > 0 || turnout.json('servers').servers.some(s => s.waiting > 0), 'someone waits')
  first.end()
  await third.until('220')
  third.close()
})

test('no server, no answer: closed, and said in the log', async () => {
  const wire = await Wire.connect(ports.nobody)
  wire.send(plain('/'))
  await wire.closed()
  assert.equal(wire.got.length, 0)
  const event = await turnout.event(e => e.event === 'refused' && e.listener === `127.0.0.1:${ports.nobody}`)
  assert.deepEqual([event.reason, event.status], ['CONNECT_REFUSED', undefined])
})

test('a tunnel outlives a reload that changes others, and follows its pool when that goes', async () => {
  const wire = await Wire.connect(turnout.port)
  await wire.until('220')
  assert.equal(turnout.command('reload').code, 0)
  wire.send('still here')
  await wire.until('still here')
  wire.close()
})

test('explain says what becomes of a connection, check what is wrong', () => {
  const explain = url => spawnSync(binary, ['explain', turnout.file, url], { encoding: 'utf8' })
  const done = explain(`tcp://127.0.0.1:${turnout.port}/`)
  assert.equal(done.status, 0, done.stderr)
  assert.match(done.stdout, /bytes as they are/)
  assert.match(done.stdout, /pool +two, round_robin/)
  assert.equal(explain(`tcp://127.0.0.1:${ports.secure}`).status, 0)
  assert.equal(explain('tcp://127.0.0.1').status, 1)
  assert.match(explain(`http://127.0.0.1:${turnout.port}/x`).stdout, /pool +two/)
})
