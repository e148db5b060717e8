// SAP's Cloud Application Programming model: OData V4, and pages of 100 that the server chooses.
@cds.query.limit: { default: 100, max: 1000 }
@path: '/odata'
service Feed {
  entity Cars {
    key id : Integer;
    make : String; model : String; year : Integer; price : Double; mileage : Integer;
    vin : String; color : String;
  }
}
