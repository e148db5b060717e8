// Feathers with its memory adapter: $limit and $skip, the total beside the data.
const { feathers } = require('@feathersjs/feathers')
const express = require('@feathersjs/express')
const { memory } = require('@feathersjs/memory')
const [port, file] = process.argv.slice(2)

const store = Object.fromEntries(require(file).cars.map((car) => [car.id, car]))
const app = express.default(feathers())
app.use(express.json())
app.configure(express.rest())
app.use('/cars', memory({ store, paginate: { default: 25, max: 100 } }))
app.use(express.notFound())
app.use(express.errorHandler({ logger: false }))
app.listen(Number(port), '127.0.0.1')
