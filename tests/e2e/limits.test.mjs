// Whatever peers do: nothing leaks, nothing grows, and others are served.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import net from 'node:net'
import { after, before, test } from 'node:test'
import { Wire, request, switching, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, binary, simple, until } from './lib/turnout.mjs'

let echo
before(async () => { echo = await Echo.start('e') })
after(() => echo.stop())

const isSanitized = /asan|tsan/.test(binary)
const mebibytes = process.env.TURNOUT_LONG ? 1024 : 96

test('clients that vanish after every byte of a handshake leave nothing behind', async () => {
  const t = await Turnout.start(simple(echo))
  const text = request('/')
  const descriptors = () => spawnSync('ls', [`/proc/${t.pid}/fd`], { encoding: 'utf8' }).stdout.split('\n').length
  ;(await tunnel(t.port)).close()
  await until(() => t.counters().connections === 0)
  const before = descriptors()
  for (let n = 1; n <= text.length; n++) {
    const wire = await Wire.connect(t.port)
    wire.send(text.slice(0, n))
    if (n % 2) await wire.reset()
    else wire.close()
  }
  await until(() => t.counters().connections === 0, 'all connections are gone')
  await until(() => t.server(echo.address).active === 0, 'all seats are free')
  await until(() => descriptors() <= before, 'all descriptors are closed')
  ;(await tunnel(t.port)).close()
  await t.stop()
})
test('10,000 refused handshakes, and memory stays', { skip: isSanitized && 'allocators of sanitizers keep memory' }, async () => {
  const t = await Turnout.start(simple(echo))
  const refuse = async count => {
    const wire = await Wire.connect(t.port)
    for (let i = 0; i < count; i++) { wire.send(request('/refuse/403')); assert.equal((await wire.head()).status, 403); await wire.until('\n'); wire.got = Buffer.alloc(0) }
    wire.close()
  }
  await Promise.all([refuse(1500), refuse(1500), refuse(1500)]) // the event rings of both workers are touched once
  const before = t.memory('VmRSS')
  await Promise.all([refuse(3000), refuse(3000), refuse(3000)])
  assert.ok(t.memory('VmRSS') <= before + 1024, `${before} kB, then ${t.memory('VmRSS')}`)
  await t.stop()
})

// A server and a client that move `mebibytes` each way at once, the client reading slowly.
test(`${mebibytes} MiB each way with a slow reader: equal, and bounded in user space and in the kernel`, async () => {
  const total = mebibytes << 20
  const block = Buffer.alloc(1 << 20)
  for (let i = 0; i < block.length; i++) block[i] = (i * 7 + (i >> 9)) & 255
  const wanted = createHash('sha1')
  for (let i = 0; i < mebibytes; i++) wanted.update(block)
  const digest = wanted.digest('hex')
  const pump = (socket, left) => {
    while (left > 0) { left -= block.length; if (!socket.write(block)) { socket.once('drain', () => pump(socket, left)); return } }
  }
  // Everything behind the head, hashed; with a delay after each piece the reader is slow.
  const hear = (socket, delay) => new Promise(resolve => {
    const sum = createHash('sha1')
    let count = 0
    let head = Buffer.alloc(0)
    socket.on('error', () => {}).on('data', data => {
      if (head) {
        head = Buffer.concat([head, data])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        data = head.subarray(end + 4)
        head = null
        socket.emit('head')
      }
      sum.update(data)
      count += data.length
      if (count === total) resolve(sum.digest('hex'))
      else if (delay) { socket.pause(); setTimeout(() => socket.resume(), delay) }
    })
  })
  let atServer
  const server = net.createServer(socket => {
    socket.once('head', () => { socket.write(switching()); pump(socket, total) })
    atServer = hear(socket, 0)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const t = await Turnout.start(simple(`127.0.0.1:${server.address().port}`))
  ;(await tunnel(t.port)).close() // so that what every first tunnel touches is not counted
  await until(() => t.counters().connections === 0)
  atServer = undefined
  const highest = t.memory('VmHWM')
  const client = net.connect(t.port, '127.0.0.1')
  client.once('head', () => pump(client, total))
  const atClient = hear(client, 1)
  client.write(request('/'))
  let kernel = 0
  const watch = setInterval(() => {
    const out = spawnSync('ss', ['-tmnp'], { encoding: 'utf8' }).stdout
    let sum = 0
    for (const [, r, f, w] of out.matchAll(new RegExp(`pid=${t.pid},[^\\n]*\\n[^\\n]*skmem:\\(r(\\d+),rb\\d+,t\\d+,tb\\d+,f(\\d+),w(\\d+)`, 'g'))) sum += Number(r) + Number(f) + Number(w)
    kernel = Math.max(kernel, sum)
  }, 200)
  await until(() => atServer !== undefined)
  assert.deepEqual(await Promise.all([atServer, atClient]), [digest, digest])
  clearInterval(watch)
  assert.ok(kernel > 0, 'ss saw the sockets')
  assert.ok(kernel <= 8 << 20, `${kernel} bytes in the kernel`)
  if (!isSanitized) assert.ok(t.memory('VmHWM') - highest <= 2048, `VmHWM grew by ${t.memory('VmHWM') - highest} kB`)
  client.destroy()
  server.close()
  await t.stop()
})
