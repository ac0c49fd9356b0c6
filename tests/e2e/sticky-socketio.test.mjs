// Socket.IO over three servers that know nothing of each other: its clients have no cookies, and poll before they upgrade.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { Wire, plain } from './lib/raw.mjs'
import { Turnout, until } from './lib/turnout.mjs'

const connects = 500
let servers
before(async () => {
  servers = await Promise.all(['a', 'b', 'c'].map(async name => {
    const s = { name, unknown: 0, met: 0, server: http.createServer() }
    s.io = new Server(s.server, { serveClient: false })
    s.sids = new Set()
    s.io.engine.on('connection', socket => s.sids.add(socket.id))
    // 1: Session ID unknown. A client that polls while it says goodbye may ask for what was its session here: that is no stray.
    s.io.engine.on('connection_error', ({ code, req }) => { s.unknown += code === 1 && !s.sids.has(new URL(req.url, 'http://x').searchParams.get('sid')) })
    s.io.on('connection', socket => { s.met++; socket.on('who', answer => answer(name, socket.conn.transport.name)) })
    await new Promise(resolve => s.server.listen(0, '127.0.0.1', resolve))
    s.address = `127.0.0.1:${s.server.address().port}`
    return s
  }))
})
after(async () => { for (const s of servers) await s.io.close() })

const config = sticky => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${servers.map(s => s.address).join(', ')} ] } }
routes: [ { match: { prefix: / }, pool: main${sticky ? ', sticky: ' + sticky : ''} } ]`
const reset = () => { for (const s of servers) s.unknown = s.met = 0 }
const unknown = () => servers.reduce((sum, s) => sum + s.unknown, 0)

// Connects, waits until the transport is a WebSocket (unless `transports` has none), asks the server who it is.
async function visit (port, options = {}) {
  const socket = io(`http://127.0.0.1:${port}`, { forceNew: true, reconnection: false, ...options })
  await new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject))
  if (!options.transports?.every(t => t === 'polling')) {
    await new Promise((resolve, reject) => {
      const { engine } = socket.io
      if (engine.transport.name === 'websocket') return resolve()
      engine.once('upgrade', resolve).once('close', why => reject(new Error(`closed: ${why}`)))
    })
  }
  const name = await new Promise(resolve => socket.emit('who', resolve))
  const transport = socket.io.engine.transport.name
  socket.close()
  return { name, transport }
}
async function crowd (port, count, options) {
  const seen = []
  let failed = 0
  let next = 0
  await Promise.all(Array.from({ length: 20 }, async () => {
    while (next++ < count) try { seen.push(await visit(port, options)) } catch { failed++ }
  }))
  return { seen, failed }
}

test(`${connects} clients poll, then upgrade: no session is unknown`, async () => {
  reset()
  const t = await Turnout.start(config('{ preset: socket.io }'))
  const { seen, failed } = await crowd(t.port, connects)
  assert.equal(failed, 0)
  assert.equal(unknown(), 0)
  assert.equal(seen.length, connects)
  assert.ok(seen.every(s => s.transport === 'websocket'))
  const counts = servers.map(s => seen.filter(v => v.name === s.name).length)
  assert.ok(Math.min(...counts) > connects / 5, `all three serve: ${counts}`)
  const counters = t.counters()
  assert.ok(counters.sticky_new_ever >= connects)
  assert.equal(counters.sticky_given_ever, 0)
  await t.event(e => e.event === 'open' && e.sticky === 'valid')
  await t.stop()
})

test('without it they fail: the test can see it', async () => {
  reset()
  const t = await Turnout.start(config(null))
  const { failed } = await crowd(t.port, 20)
  assert.ok(failed > 0 && unknown() > 0, `${failed} ${unknown()}`)
  await t.stop()
})

test('clients that only poll, and those that only speak WebSocket', async () => {
  reset()
  const t = await Turnout.start(config('{ preset: socket.io }'))
  const polling = await crowd(t.port, 60, { transports: ['polling'] })
  const direct = await crowd(t.port, 60, { transports: ['websocket'] })
  assert.equal(polling.failed + direct.failed, 0)
  assert.equal(unknown(), 0)
  await t.stop()
})

// What a front server does: many clients' requests on one connection of its own.
test('many clients over one client connection are decided request by request', async () => {
  reset()
  const t = await Turnout.start(config('{ preset: socket.io }'))
  const wire = await Wire.connect(t.port)
  const ask = async (query, extra = '') => {
    wire.send(plain(`/socket.io/?EIO=4&transport=polling${query}`, extra))
    const answer = await wire.head()
    return { status: answer.status, body: (await wire.take(Number(answer.fields['content-length']))).toString(), fields: answer.fields }
  }
  const sids = []
  for (let i = 0; i < 30; i++) sids.push(JSON.parse((await ask('', 'Accept-Encoding: gzip\r\n')).body.slice(1)).sid)
  assert.equal(new Set(sids).size, 30)
  for (let round = 0; round < 2; round++) {
    for (const sid of sids) {
      wire.send(`POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n40`)
      const answer = await wire.head()
      assert.equal(answer.status, 200)
      await wire.take(Number(answer.fields['content-length']))
      assert.equal((await ask(`&sid=${sid}`)).status, 200)
    }
  }
  wire.send(plain('/socket.io/?EIO=4&transport=polling&sid=nobody'))
  assert.equal((await wire.head()).status, 400, 'an unknown one is the server\'s to refuse')
  assert.equal(servers.reduce((sum, s) => sum + s.met, 0), 30)
  wire.close()
  await t.stop()
})

// The handshake's answer as other servers and middle boxes may send it: in chunks, cut anywhere, of both protocols.
test('the number is found however its answer comes', async () => {
  const forms = [body => [`Content-Length: ${body.length}\r\n\r\n`, ...body],
    body => ['Transfer-Encoding: chunked\r\n\r\n', ...[...body].map(c => `1\r\n${c}\r\n`), '0\r\n\r\n'],
    body => [`Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)};a=b\r\n${body}\r\n0\r\n\r\n`],
    body => ['Connection: close\r\n\r\n', body]]
  const bodies = sid => [`0{"sid":"${sid}","upgrades":["websocket"],"pingInterval":25000}`, `85:0{"sid":"${sid}","upgrades":[]}2:40`, `___eio[0]("85:0{\\"sid\\":\\"${sid}\\",\\"upgrades\\":[]}");`]
  let sessions = 0
  let strays = 0
  const own = await Promise.all([0, 1].map(() => new Promise(resolve => {
    const mine = new Set()
    const server = net.createServer(socket => {
      let head = ''
      socket.on('error', () => {}).on('data', async data => {
        head += data
        if (!head.includes('\r\n\r\n')) return
        const query = new URL(head.split(' ')[1], 'http://x').searchParams
        assert.ok(!/accept-encoding/i.test(head) || query.has('sid'))
        head = ''
        if (query.has('sid')) {
          strays += !mine.has(query.get('sid'))
          return socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        }
        const sid = `s-${sessions++}`
        mine.add(sid)
        const parts = forms[query.get('form')](bodies(sid)[query.get('body')])
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n' + parts[0])
        for (const part of parts.slice(1)) { socket.write(part); await new Promise(resolve => setImmediate(resolve)) }
        if (query.get('form') === '3') socket.end()
      })
    }).listen(0, '127.0.0.1', () => resolve(server))
  })))
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${own.map(s => `127.0.0.1:${s.address().port}`).join(', ')} ] } }
routes: [ { match: { prefix: / }, pool: main, sticky: { preset: socket.io } } ]`)
  for (let form = 0; form < forms.length; form++) {
    for (let body = 0; body < 3; body++) {
      const sid = `s-${sessions}`
      const text = await (await fetch(`http://127.0.0.1:${t.port}/socket.io/?EIO=4&form=${form}&body=${body}`)).text()
      assert.ok(text.includes(sid), 'it comes through untouched')
      for (let i = 0; i < 3; i++) assert.equal(await (await fetch(`http://127.0.0.1:${t.port}/socket.io/?EIO=4&sid=${sid}`)).text(), 'ok')
    }
  }
  assert.equal(strays, 0)
  await until(() => t.counters().sticky_valid_ever === 36)
  await t.stop()
  for (const s of own) s.close()
})
