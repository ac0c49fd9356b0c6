// What nobody sends in good faith, and short resources: others are served, nothing grows, and afterwards it is as before.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { Backend, Wire, answer, plain, request } from './lib/raw.mjs'
import { Turnout, binary, until } from './lib/turnout.mjs'

const isSanitized = /asan|tsan/.test(binary)
const isLong = process.env.TURNOUT_LONG
const withMemory = { skip: isSanitized && 'allocators of sanitizers keep memory', timeout: 600000 }
let server
before(async () => { server = await Backend.start(async (wire, { path }) => { wire.send(path === '/no' ? answer(403, 'no') : answer(200, 'hi')) }) })
after(() => server.stop())

const start = (more = '') => Turnout.start(t => `workers: 1
listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ ${server.address} ] } }
${more}`)
async function status (port, text = plain('/')) {
  const wire = await Wire.connect(port)
  wire.send(text)
  try { return (await wire.head()).status } finally { wire.close() }
}
const descriptors = t => readdirSync(`/proc/${t.pid}/fd`).length
// Milliseconds of processor time that it has used.
const cpu = t => { const f = readFileSync(`/proc/${t.pid}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(f[11]) + Number(f[12])) * 10 }
// `count` sockets that only connect, from several addresses: a free port is found slowly when most are taken.
async function crowd (port, count, use) {
  const sockets = []
  for (let i = 0; i < count; i += 250) {
    await Promise.all(Array.from({ length: Math.min(250, count - i) }, () => new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.1.${1 + sockets.length % 16}` })
      socket.on('error', error => { socket.broken = error; resolve() }).on('connect', () => { use?.(socket); resolve() }).on('close', () => { socket.isOver = true })
      sockets.push(socket)
    })))
  }
  return sockets
}

const refusals = isLong ? 100000 : 10000
test(`${refusals} handshakes refused by the server and by us, and memory stays`, withMemory, async () => {
  const t = await start()
  const bad = [request('/x', { withKey: false }), request('/x', { method: 'POST' }), request('/x', { extra: 'Content-Length: 5\r\n' }), request('/no').replace('Host: x', 'Host: x\r\nHost: y')]
  const refuse = async count => {
    for (let i = 0; i < count; i++) {
      if (i % 2) { assert.equal(await status(t.port, bad[(i >> 1) % bad.length]), 400); continue }
      const wire = await Wire.connect(t.port)
      wire.send(request('/no'))
      assert.equal((await wire.head()).status, 403)
      wire.close()
    }
  }
  const together = count => Promise.all(Array.from({ length: 8 }, () => refuse(count / 8)))
  await together(800)
  const before = t.memory('VmRSS')
  await together(refusals)
  await until(() => t.counters().connections === 0)
  assert.ok(t.memory('VmRSS') <= before + 1024, `${before} kB, then ${t.memory('VmRSS')}`)
  await t.stop()
})
test('heads without end, from 200 at once: each is 431 or 414, and memory comes back', withMemory, async () => {
  const t = await start('limits: { request_head: 16k, headers: 100 }')
  const attack = async how => {
    const wire = await Wire.connect(t.port)
    wire.send('GET /')
    if (how !== 'target') wire.send(' HTTP/1.1\r\nHost: x\r\n')
    for (let i = 0; i < 2000 && !wire.ended && !wire.text; i++) {
      wire.send({ target: 'a'.repeat(100), value: `A: ${'b'.repeat(500)}\r\n`, names: `A${i}: b\r\n`, line: 'b'.repeat(500), folded: `A: ${'b'.repeat(60)}\r\n` }[how])
      if (i % 4 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    const got = await wire.head()
    wire.close()
    return got.status
  }
  assert.equal(await attack('names'), 431)
  const before = t.memory('VmRSS')
  const hows = ['target', 'value', 'names', 'line', 'folded']
  const got = await Promise.all(Array.from({ length: 200 }, (_, i) => attack(hows[i % 5])))
  for (const [i, s] of got.entries()) assert.equal(s, i % 5 ? 431 : 414, hows[i % 5])
  await until(() => t.counters().connections === 0)
  assert.equal(await status(t.port), 200)
  assert.ok(t.memory('VmRSS') <= before + 4096, `${before} kB, then ${t.memory('VmRSS')}`)
  await t.stop()
})

const silent = isLong ? 15000 : 3000
test(`${silent} connections that send nothing: others are served, each costs little, all are let go`, withMemory, async () => {
  const t = await start(`timeouts: { request_head: ${isLong ? 60 : 4}s }`)
  await status(t.port)
  const before = t.memory('VmRSS')
  const descriptorsBefore = descriptors(t)
  const sockets = await crowd(t.port, silent)
  assert.equal(await status(t.port), 200)
  assert.equal(sockets.find(s => s.broken)?.broken, undefined)
  await until(() => t.counters().connections >= silent, 'all are there')
  const each = (t.memory('VmRSS') - before) * 1024 / silent
  assert.ok(each < 1536, `${each} bytes each`)
  await until(() => sockets.every(s => s.isOver), 'all are let go', 120000)
  await until(() => descriptors(t) <= descriptorsBefore + 1, 'their descriptors are closed')
  assert.equal(await status(t.port), 200)
  await t.stop()
})
test('half a head from each of 1,000: 408 for each at its deadline', withMemory, async () => {
  const t = await start('timeouts: { request_head: 2s }')
  const texts = []
  const sockets = await crowd(t.port, 1000, socket => { socket.write('GET / HTTP/1.1\r\nHost: x\r\nA: '); socket.on('data', data => texts.push(data.toString())) })
  const drip = setInterval(() => { for (const s of sockets) if (!s.isOver) s.write('b') }, 300)
  await until(() => sockets.every(s => s.isOver), 'all are let go', 20000)
  clearInterval(drip)
  assert.equal(texts.filter(text => text.startsWith('HTTP/1.1 408 ')).length, 1000)
  await until(() => t.counters().connections === 0)
  await t.stop()
})
test('ulimit -n 64: who finds no descriptor waits or is told, no processor burns, and all is well afterwards', async () => {
  const t = await start('timeouts: { request_head: 60s, keepalive: 60s }')
  execFileSync('prlimit', ['--pid', String(t.pid), '--nofile=64:64'])
  assert.equal(await status(t.port), 200)
  const sockets = await crowd(t.port, 200)
  await until(() => descriptors(t) >= 63, 'there is none left')
  const busy = cpu(t)
  await new Promise(resolve => setTimeout(resolve, 1000)) // what is measured is what happens in a second
  assert.ok(cpu(t) - busy < 300, `${cpu(t) - busy} ms of processor time in a second`)
  const told = []
  for (const socket of sockets) {
    if (socket.isOver) continue
    socket.on('data', data => told.push(data.toString().split(' ')[1]))
    socket.write(plain('/'))
  }
  await until(() => told.length >= 40, 'those who were let in are told something')
  assert.ok(told.every(s => s === '503' || s === '200'), told.join(' '))
  for (const socket of sockets) socket.destroy()
  await until(() => descriptors(t) < 30, 'they are gone')
  await until(async () => await status(t.port) === 200, 'it serves again') // those who waited in the kernel come and go first
  await t.stop()
})
